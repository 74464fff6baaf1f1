//! A forward proxy as companies have them: the only one who knows where the store is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// The name by which clients know the store. No resolver knows it.
pub(crate) const STORE: &str = "http://store.invalid";

/// The proxy; stops with the runtime of its test.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    port: u16,
    passed: Arc<AtomicUsize>,
}

impl Proxy {
    /// Passes what is sent to [`STORE`] on to this address.
    pub(crate) async fn start(store: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, passed: Arc::default() };
        let serving = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (proxy, store) = (serving.clone(), store.clone());
                // A client that went away takes its request with it.
                tokio::spawn(async move { drop(proxy.pass(client, &store).await) });
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests went through.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    /// One request: a proxy is told the whole URL, a server only the path.
    async fn pass(&self, client: TcpStream, store: &str) -> io::Result<()> {
        let mut client = BufReader::new(client);
        let mut line = String::new();
        client.read_line(&mut line).await?;
        let Some((method, rest)) = line.split_once(&format!(" {STORE}")) else {
            return client.write_all(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n").await;
        };
        self.passed.fetch_add(1, Ordering::Relaxed);
        let mut server = TcpStream::connect(store).await?;
        server.write_all(format!("{method} {rest}").as_bytes()).await?;
        copy_bidirectional(&mut client, &mut server).await.map(|_| ())
    }
}
