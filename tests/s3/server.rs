//! A server that speaks just enough S3 for the real client, and misbehaves by script.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

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
}

#[derive(Debug, Default)]
struct State {
    quirk: Option<Quirk>,
    missed: BTreeSet<String>,
    objects: BTreeMap<String, Vec<u8>>,
    puts: VecDeque<Act>,
    gets: VecDeque<Act>,
    served: (usize, usize),
    /// What the last PUT said of itself.
    headers: HashMap<String, String>,
}

impl State {
    /// Deletes one object, or those that a list names.
    fn delete(&mut self, request: &Request) -> Option<Reply> {
        match request.method.as_str() {
            "DELETE" => {
                self.objects.remove(&request.path);
            }
            "POST" => {
                let bucket = request.path.split_once('?')?.0;
                let text = String::from_utf8_lossy(&request.body).into_owned();
                for part in text.split("<Key>").skip(1) {
                    let name = part.split("</Key>").next()?;
                    self.objects.remove(&format!("{bucket}/{name}"));
                }
                let body = b"<DeleteResult></DeleteResult>".to_vec();
                return Some(Reply { status: 200, range: None, body });
            }
            _ => return None,
        }
        Some(Reply { status: 204, range: None, body: Vec::new() })
    }

    /// The names below a prefix, all on one page, if that is what this path asks for.
    fn listing(&self, path: &str) -> Option<String> {
        let (bucket, query) =
            path.split_once('?').filter(|(_, query)| query.contains("list-type"))?;
        let mut words = query.split('&').filter_map(|word| word.strip_prefix("prefix="));
        let prefix = words.next().unwrap_or_default().replace("%2F", "/");
        let names = self.objects.iter().filter_map(|(path, bytes)| {
            let name = path.strip_prefix(bucket)?.trim_start_matches('/');
            let time = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>";
            let size = bytes.len();
            name.starts_with(&prefix)
                .then(|| format!("<Contents><Key>{name}</Key>{time}<Size>{size}</Size></Contents>"))
        });
        let names: String = names.collect();
        Some(format!("<ListBucketResult>{names}</ListBucketResult>"))
    }
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
            (Some(Quirk::RemembersMissing), "GET") if state.missed.contains(path) => {
                return Reply::failed(404);
            }
            _ => {}
        }
        if let Some(reply) = state.delete(request) {
            return reply;
        }
        if let Some(listing) = state.listing(&request.path) {
            return Reply { status: 200, range: None, body: listing.into_bytes() };
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
                Reply { status: 200, range: None, body: Vec::new() }
            }
            (_, None) if quirk == Some(Quirk::ForbidsMissing) => Reply::failed(403),
            (_, None) => {
                state.missed.insert(request.path.clone());
                Reply::failed(404)
            }
            (_, Some(body)) => match request.range {
                None => Reply { status: 200, range: None, body },
                Some((start, _)) if start >= body.len() => Reply::failed(416),
                Some((start, last)) => {
                    let end = (last + 1).min(body.len());
                    let range = Some((start, end - 1, body.len()));
                    Reply { status: 206, range, body: body[start..end].to_vec() }
                }
            },
        }
    }
}

#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    range: Option<(usize, usize)>,
    only_if_absent: bool,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        stream.read_exact(&mut body).await?;
        let range = headers.get("range").map(|range| {
            let (start, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (start.parse().unwrap(), last.parse().unwrap())
        });
        let only_if_absent = headers.get("if-none-match").is_some_and(|tag| tag == "*");
        Ok(Some(Self { method, path, range, only_if_absent, headers, body }))
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    range: Option<(usize, usize, usize)>,
    body: Vec<u8>,
}

impl Reply {
    fn failed(status: u16) -> Self {
        let code = match status {
            403 => "AccessDenied",
            404 => "NoSuchKey",
            // Not a status: a key that nobody knows is answered with 403, too.
            1403 => "InvalidAccessKeyId",
            409 => "ConditionalRequestConflict",
            412 => "PreconditionFailed",
            503 => "SlowDown",
            // Not a status: a missing bucket answers 404 with another code.
            1404 => "NoSuchBucket",
            _ => "InternalError",
        };
        let body = format!("<Error><Code>{code}</Code></Error>").into_bytes();
        Self { status: status % 1000, range: None, body }
    }

    fn into_bytes(mut self, act: Act, minutes_ahead: i64) -> Vec<u8> {
        let middle = self.body.len() / 2;
        match act {
            Act::BitFlipped => self.body[middle] ^= 1,
            Act::HalfAsWhole => self.body.truncate(middle),
            _ => {}
        }
        let len = self.body.len();
        let time = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes_ahead);
        let time = time.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let mut head = format!(
            "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {len}\r\nETag: \"tag\"\r\n\
             Last-Modified: {time}\r\n",
            self.status
        );
        if self.status == 503 {
            head += "Retry-After: 1\r\n";
        }
        if let Some((start, last, len)) = self.range {
            head = format!("{head}Content-Range: bytes {start}-{last}/{len}\r\n");
        }
        if let Act::HalfThenGone = act {
            self.body.truncate(middle);
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        bytes.extend(self.body);
        bytes
    }
}
