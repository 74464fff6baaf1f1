//! Talking to a server as its users do: SQL and rows over HTTP, rows over a plain line of TCP.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any statement takes; shorter than the patience of a case.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server listens, all on the loopback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) http: u16,
    pub(crate) pg: u16,
    pub(crate) line: u16,
}

/// One line of an answer.
pub(crate) type Row = Vec<Value>;

impl Client {
    /// Runs SQL; the rows of its answer, or what the server said against it.
    pub(crate) fn sql(self, text: &str) -> Result<Vec<Row>, String> {
        let answer = self.answer(text)?;
        let rows = answer.get("dataset").and_then(Value::as_array);
        let rows = rows.into_iter().flatten();
        Ok(rows.map(|row| row.as_array().cloned().unwrap_or_default()).collect())
    }

    /// The columns of an answer: each with its name and its type, as the server describes them.
    pub(crate) fn columns(self, text: &str) -> Result<Vec<Value>, String> {
        let answer = self.answer(text)?;
        Ok(answer.get("columns").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    fn answer(self, text: &str) -> Result<Value, String> {
        let body = self.get("/exec", text)?;
        let answer: Value =
            serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => Err(error.as_str().unwrap_or("an error without words").to_owned()),
        }
    }

    /// The rows of an answer where an error has no place.
    pub(crate) fn query(self, text: &str) -> Vec<Row> {
        self.sql(text).unwrap_or_else(|error| panic!("port {}: {text}: {error}", self.http))
    }

    /// The first value of an answer, as a word.
    pub(crate) fn value(self, text: &str) -> Result<String, String> {
        let rows = self.sql(text)?;
        let first = rows.first().and_then(|row| row.first());
        first.map(word).ok_or_else(|| format!("{text}: no rows"))
    }

    /// The first value of an answer, as a number.
    pub(crate) fn number(self, text: &str) -> u64 {
        let found = self.value(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        found.parse().unwrap_or_else(|_| panic!("{text}: {found} is no number"))
    }

    /// All rows of an answer as lines of comma separated values, the names first.
    pub(crate) fn lines(self, text: &str) -> Result<Vec<String>, String> {
        let body = self.get("/exp", text)?;
        if body.starts_with('{') {
            return Err(body);
        }
        Ok(body.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    fn get(self, path: &str, query: &str) -> Result<String, String> {
        let head = format!("GET {path}?query={} HTTP/1.1\r\n", encoded(query));
        self.exchange(&head, "").map(|(_, body)| body).map_err(|error| error.to_string())
    }

    /// Rows in the influx line protocol, as one commit per table.
    pub(crate) fn write(self, lines: &str) -> Result<(), String> {
        let (status, body) = self
            .exchange("POST /write?precision=n HTTP/1.1\r\n", lines)
            .map_err(|error| error.to_string())?;
        if status == 204 { Ok(()) } else { Err(format!("{status}: {body}")) }
    }

    /// A connection that takes rows in the line protocol, and answers nothing.
    pub(crate) fn line(self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.line))
    }

    /// One request with this head, and its answer: the status and the body.
    pub(crate) fn exchange(self, head: &str, body: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(stream, "{head}Host: localhost\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut reader = BufReader::new(stream);
        let status = line_of(&mut reader)?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status in the answer"))?;
        let (mut chunked, mut length) = (false, 0);
        loop {
            let line = line_of(&mut reader)?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("transfer-encoding", "chunked")) => chunked = true,
                Some(("content-length", value)) => length = value.parse().unwrap_or(0),
                Some(_) => {}
                None => break,
            }
        }
        let body = if chunked { chunks(&mut reader)? } else { exactly(&mut reader, length)? };
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn line_of(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn exactly(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line_of(reader)?;
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        body.append(&mut exactly(reader, size)?);
        line_of(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A value as it reads, without the quotes of JSON.
pub(crate) fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02x}").expect("a string takes more");
        }
    }
    encoded
}
