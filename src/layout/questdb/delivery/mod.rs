//! How a server on a replica takes the WAL in: what is decided. What is done about it, `replica`
//! does.
//!
//! | file | idea |
//! |---|---|
//! | [`pieces`] | which commits may be shown to the server next, and what they need |
//! | [`agreement`] | whether the log here is the beginning of the volume's |
//! | [`statements`] | what is said in SQL |
//!
//! A server applies what it finds: commits in `txn_seq/_txnlog`, their rows in the segments that
//! the log names, their changes of structure in the log of changes. All of it is put in place
//! first, the count in the log's header last. The server does not look by itself: a statement
//! nudges it. Four things it does not take from files while it runs, and is told in SQL: that a
//! table, a view was made, that one has another name, that one is gone.

pub mod agreement;
pub mod pieces;
pub mod statements;
