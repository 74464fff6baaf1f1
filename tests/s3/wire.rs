//! Requests and replies as they go over the wire.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use super::Act;

/// The tag of every object.
const TAG: &str = "\"tag\"";

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<(usize, usize)>,
    pub(crate) only_if_absent: bool,
    pub(crate) only_if_changed: bool,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
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
        let only_if_changed = headers.get("if-none-match").is_some_and(|tag| tag == TAG);
        Ok(Some(Self { method, path, range, only_if_absent, only_if_changed, headers, body }))
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) range: Option<(usize, usize, usize)>,
    pub(crate) body: Vec<u8>,
    /// A header of its own.
    pub(crate) header: Option<&'static str>,
}

impl Reply {
    pub(crate) fn well(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, range: None, body: body.into(), header: None }
    }

    pub(crate) fn failed(status: u16) -> Self {
        let code = match status {
            403 => "AccessDenied",
            404 => "NoSuchKey",
            // Not a status: a key that nobody knows is answered with 403, too.
            1403 => "InvalidAccessKeyId",
            409 => "ConditionalRequestConflict",
            412 => "PreconditionFailed",
            503 => "SlowDown",
            501 => "NotImplemented",
            // Not a status: a bucket without rules answers so.
            2404 => "NoSuchLifecycleConfiguration",
            // Not a status: a missing bucket answers 404 with another code.
            1404 => "NoSuchBucket",
            _ => "InternalError",
        };
        let body = format!("<Error><Code>{code}</Code></Error>").into_bytes();
        Self::well(status % 1000, body)
    }

    pub(crate) fn into_bytes(mut self, act: Act, minutes_ahead: i64) -> Vec<u8> {
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
            "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {len}\r\nETag: {TAG}\r\n\
             Last-Modified: {time}\r\n",
            self.status
        );
        if let Some(header) = self.header {
            head = format!("{head}{header}\r\n");
        }
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
