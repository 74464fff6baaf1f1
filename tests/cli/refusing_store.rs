//! A store that is reached and says no, and one that is not reached.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::bed::{Bed, run, walfs};

/// Answers every request with 403, as S3 does to wrong keys.
fn refuse(stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        let body = "<Error><Code>InvalidAccessKeyId</Code></Error>";
        let length = body.len();
        let mut answer = stream;
        write!(answer, "HTTP/1.1 403 Forbidden\r\ncontent-length: {length}\r\n\r\n{body}")?;
    }
}

fn environment(bed: &Bed, port: u16) -> String {
    let text = format!(
        "AWS_ACCESS_KEY_ID=walfs\nAWS_SECRET_ACCESS_KEY='hunter2'\nAWS_REGION=x\n\
         AWS_ENDPOINT=http://127.0.0.1:{port}\n"
    );
    std::fs::write(bed.path("secrets"), text).unwrap();
    format!("env_file={}", bed.text("secrets"))
}

#[test]
fn wrong_credentials_are_told_apart_from_a_store_that_is_away() {
    let Some(bed) = Bed::for_mounts() else { return };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || refuse(&stream));
        }
    });
    let option = environment(&bed, port);
    let status = run(walfs().args(["status", "s3://bucket/pg", "-o", &option]));
    assert!(!status.err.contains("hunter2"), "{status:?}");
    status.failed(4, &["refuses"]);
    let words = ["mount", "s3://bucket/pg", &bed.text("primary"), "-o"];
    let option = format!("primary,layout=generic,{option}");
    run(walfs().args(words).arg(option)).failed(4, &["refuses"]);
}

#[test]
fn a_store_that_is_not_reached_is_unavailable() {
    let bed = Bed::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let option = environment(&bed, listener.local_addr().unwrap().port());
    drop(listener);
    let status = run(walfs().args(["status", "s3://bucket/pg", "-o", &option]));
    status.failed(3, &["unavailable"]);
}
