//! A server that speaks just enough S3 for the real client, and misbehaves by script.

// Other tests use this file, too: what it is made of is named by its place.
#[path = "bucket.rs"]
mod bucket;
#[path = "wire.rs"]
mod wire;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use bucket::State;
use wire::{Reply, Request};

/// How the server treats one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// As S3 does.
    Well,
    /// Does what was asked, but answers with this status.
    DoneBut(u16),
    /// Does nothing and answers with this status.
    Not(u16),
    /// Does what was asked and drops the connection.
    DoneAndGone,
    /// Drops the connection.
    Gone,
    /// Says nothing for a while, and then does it.
    Later(Duration),
    /// Promises the whole length and drops the connection half-way.
    HalfThenGone,
    /// Answers with half of the object as if that were all.
    HalfAsWhole,
    /// One bit is wrong.
    BitFlipped,
    /// Ignores the range and answers with everything.
    RangeIgnored,
}

/// What a server does to every request, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// Overwrites what was to be created only if absent.
    IgnoresConditions,
    /// Answers 403 for what is missing, as to those who may not list.
    ForbidsMissing,
    /// Refuses every write.
    ReadOnly,
    /// Refuses every delete.
    KeepsAll,
    /// Goes on saying that an object is missing to all, once it has said so.
    RemembersMissing,
    /// Its clock is so many minutes ahead.
    Ahead(i64),
    /// It was never told of the key.
    UnknownKey,
    /// There is no such bucket.
    NoBucket,
    /// Sends what has not changed since.
    SendsAll,
    /// Keeps what was deleted.
    KeepsVersions,
    /// A rule deletes every object, as the object tells.
    Expires,
    /// A rule deletes links, as the bucket tells.
    ExpiresLog,
    /// Tells its rules to nobody.
    HidesRules,
    /// Locks every object.
    Locks,
    /// Knows no multi-delete.
    NoBulk,
    /// Knows no uploads in parts.
    NoParts,
    /// Lists from the beginning, wherever it was to begin.
    ListsAll,
    /// Does not list everything.
    ForgetsNames,
    /// Does not say that a list goes on.
    OnePage,
    /// Has enough of eight puts at once.
    Throttles,
    /// Answers what lies beyond an object as if nothing were there.
    LosesEnds,
}

/// The server; stops with the runtime of its test.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { state: Arc::default(), port };
        let serving = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = serving.clone();
                // A client that went away is part of the game.
                tokio::spawn(async move { drop(server.serve(stream).await) });
            }
        });
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the next PUTs meet; after that all goes well.
    pub(crate) fn script_puts(&self, acts: &[Act]) {
        self.state().puts.extend(acts);
    }

    /// What the next GETs meet.
    pub(crate) fn script_gets(&self, acts: &[Act]) {
        self.state().gets.extend(acts);
    }

    /// From now on it is like this.
    pub(crate) fn set_quirk(&self, quirk: Quirk) {
        self.state().quirk = Some(quirk);
    }

    /// How many objects there are.
    pub(crate) fn count(&self) -> usize {
        self.state().objects.len()
    }

    /// How many PUTs and GETs came.
    pub(crate) fn served(&self) -> (usize, usize) {
        self.state().served
    }

    /// This header of the last PUT.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.state().headers.get(name).cloned()
    }

    /// Puts an object where no client sees it happen.
    pub(crate) fn place(&self, path: &str, bytes: &[u8]) {
        self.state().objects.insert(path.to_owned(), bytes.to_vec());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
        let act = self.next_act(&request);
        let reply = match act {
            Act::Gone => return Ok(()),
            Act::Not(status) => Reply::failed(status),
            Act::DoneBut(status) => {
                self.perform(&request);
                Reply::failed(status)
            }
            Act::DoneAndGone => {
                self.perform(&request);
                return Ok(());
            }
            Act::Later(pause) => {
                tokio::time::sleep(pause).await;
                self.perform(&request)
            }
            Act::RangeIgnored => self.perform(&Request { range: None, ..request }),
            Act::Well | Act::HalfThenGone | Act::HalfAsWhole | Act::BitFlipped => {
                self.perform(&request)
            }
        };
        let ahead = match self.state().quirk {
            Some(Quirk::Ahead(minutes)) => minutes,
            _ => 0,
        };
        stream.write_all(&reply.into_bytes(act, ahead)).await?;
        stream.shutdown().await
    }

    fn next_act(&self, request: &Request) -> Act {
        let mut state = self.state();
        if request.method == "PUT" {
            state.served.0 += 1;
            state.headers.clone_from(&request.headers);
            state.puts.pop_front().unwrap_or(Act::Well)
        } else {
            state.served.1 += 1;
            state.gets.pop_front().unwrap_or(Act::Well)
        }
    }

    fn perform(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let quirk = state.quirk;
        let path = &request.path;
        match (quirk, request.method.as_str()) {
            (Some(Quirk::UnknownKey), _) => return Reply::failed(1403),
            (Some(Quirk::NoBucket), _) => return Reply::failed(1404),
            (Some(Quirk::ReadOnly), "PUT" | "DELETE" | "POST")
            | (Some(Quirk::KeepsAll), "DELETE" | "POST") => return Reply::failed(403),
            (Some(Quirk::Throttles), "PUT") if path.contains("at-once-8") => {
                return Reply::failed(503);
            }
            (Some(Quirk::RemembersMissing), "GET") if state.missed.contains(path) => {
                return Reply::failed(404);
            }
            _ => {}
        }
        if let Some(reply) = state.beside(request) {
            return reply;
        }
        let found = state.objects.get(&request.path).cloned();
        match (request.method.as_str(), found) {
            ("PUT", Some(_))
                if request.only_if_absent && quirk != Some(Quirk::IgnoresConditions) =>
            {
                Reply::failed(412)
            }
            ("PUT", _) => {
                state.objects.insert(request.path.clone(), request.body.clone());
                Reply { header: told(quirk), ..Reply::well(200, "") }
            }
            (_, Some(_)) if request.only_if_changed && quirk != Some(Quirk::SendsAll) => {
                Reply::well(304, "")
            }
            (_, None) if quirk == Some(Quirk::ForbidsMissing) => Reply::failed(403),
            (_, None) => {
                state.missed.insert(request.path.clone());
                Reply::failed(404)
            }
            (_, Some(body)) => match request.range {
                None => Reply { header: told(quirk), ..Reply::well(200, body) },
                Some((start, _)) if start >= body.len() => {
                    Reply::failed(if quirk == Some(Quirk::LosesEnds) { 404 } else { 416 })
                }
                Some((start, last)) => {
                    let end = (last + 1).min(body.len());
                    let range = Some((start, end - 1, body.len()));
                    Reply { range, ..Reply::well(206, &body[start..end]) }
                }
            },
        }
    }
}

/// What the answers of such a server say besides.
fn told(quirk: Option<Quirk>) -> Option<&'static str> {
    match quirk? {
        Quirk::KeepsVersions => Some("x-amz-version-id: 7"),
        Quirk::Expires => Some("x-amz-expiration: rule-id=\"monthly\""),
        Quirk::Locks => Some("x-amz-object-lock-mode: COMPLIANCE"),
        _ => None,
    }
}
