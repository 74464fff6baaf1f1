//! A primary on its mount, and replicas that take in what it ships.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::node::Node;
use crate::server::{AGENT, Server};
use crate::world::World;

/// A server whose database is a mount. Dropped, the server is gone before its mount.
#[derive(Debug)]
pub(crate) struct Primary {
    pub(crate) server: Server,
    pub(crate) mount: Node,
}

impl Primary {
    /// A new one, running.
    pub(crate) fn start(world: &World, name: &str, options: &str) -> Primary {
        let server = Server::primary(world, name);
        Primary::over(world, server, options)
    }

    /// Mounts over the database of this server, which does not run, and starts it.
    pub(crate) fn over(world: &World, mut server: Server, options: &str) -> Primary {
        let options = format!("primary,layout=questdb,{},{options}", asked(&server));
        let mount = Node::mount(world, &server.database(), &options);
        server.start();
        Primary { server, mount }
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// kill -9 of both, at the same moment; then both again.
    pub(crate) fn lose_walfs(&mut self) {
        self.mount.kill();
        self.server.kill();
        self.mount.clear();
        self.mount.remount();
        self.server.start();
    }
}

/// A server with a database of its own, and the walfs that delivers into it.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) server: Server,
    pub(crate) view: Node,
}

impl Replica {
    /// A new one, running, with an empty database at first.
    pub(crate) fn start(world: &World, name: &str, options: &str) -> Replica {
        let mut server = Server::replica(world, name);
        server.start();
        Replica::of(world, server, options)
    }

    /// Delivers into the database of this server, whether it runs or not.
    pub(crate) fn of(world: &World, server: Server, options: &str) -> Replica {
        let directory = view_of(world, server.root());
        fs::create_dir_all(&directory).expect("a temporary directory takes a mount point");
        let view = Node::mount(world, &directory, &format!("{},{options}", delivery(&server)));
        Replica { server, view }
    }

    pub(crate) fn client(&self) -> Client {
        self.server.client()
    }

    /// kill -9 of the walfs alone, and then it is there again.
    pub(crate) fn lose_walfs(&mut self) {
        self.view.kill();
        self.view.clear();
        self.view.remount();
    }
}

/// The words of a primary's mount that may ask this server for its version.
fn asked(server: &Server) -> String {
    let (pg, file) = (server.client().pg, server.password_file());
    fs::write(&file, "quest").expect("a root is writable");
    format!("questdb=127.0.0.1:{pg},questdb_password_file={}", file.display())
}

/// The words of a mount that delivers into this server.
pub(crate) fn delivery(server: &Server) -> String {
    format!(
        "replica,database={},questdb=127.0.0.1:{},questdb_user={},questdb_password_file={}",
        server.database().display(),
        server.client().pg,
        AGENT.0,
        server.password_file().display(),
    )
}

fn view_of(world: &World, root: &Path) -> PathBuf {
    let name = root.file_name().and_then(|name| name.to_str()).expect("a root has a name");
    world.path(&format!("view-of-{name}"))
}

/// A primary that ships at once, and one replica.
pub(crate) fn pair(world: &World) -> (Primary, Replica) {
    let primary = Primary::start(world, "primary", "interval=0,node=primary");
    let replica = Replica::start(world, "replica", "node=replica");
    (primary, replica)
}
