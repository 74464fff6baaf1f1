//! The server of a database on this host, as far as walfs speaks to it. What is said to it, the
//! layout of its database knows.
//!
//! | file | idea |
//! |---|---|
//! | [`agent`] | the connection |

pub mod agent;

pub use agent::{Address, Agent, AgentError, Rows};
