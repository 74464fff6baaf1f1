//! Where the contract is asked for: a place for each question, at one store.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use walfs::store::{Place, Source, Store, Uploaded, connect};
use walfs::volume::RelPath;
use walfs::volume::edit::Member;
use walfs::volume::keys::Key;
use walfs::volume::manifest::Segment;

/// A place at a store, reached as its URL says.
#[derive(Clone, Debug)]
pub(crate) struct Bed {
    url: String,
    /// One client: a real server is not asked for a connection per question.
    place: Arc<Place>,
}

impl Bed {
    pub(crate) fn memory() -> Self {
        Self::at("memory://contract/store".to_owned())
    }

    pub(crate) fn at(url: String) -> Self {
        let place = connect(&url, &BTreeMap::new()).unwrap();
        Self { url, place: Arc::new(place) }
    }

    /// The server that the environment names, at a place that nobody has used yet.
    pub(crate) fn server() -> Option<Self> {
        let url = std::env::var("WALFS_CONTRACT_URL").ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let (url, query) = url.split_once('?').unwrap_or((&url, ""));
        Some(Self::at(format!("{url}/contract-{now}?{query}")))
    }

    /// Where two hosts meet, and which of them this is.
    pub(crate) fn shared() -> Option<(Self, u8)> {
        let url = std::env::var("WALFS_CONTRACT_RIVALS").ok()?;
        let host = std::env::var("WALFS_CONTRACT_RIVAL").unwrap().parse().unwrap();
        assert!(host < 2, "there are two hosts, 0 and 1");
        Some((Self::at(url), host))
    }

    /// A place beneath this one.
    pub(crate) fn fresh(&self, name: &str) -> Self {
        let mut place = (*self.place).clone();
        place.prefix = place.prefix.clone().join(name);
        Self { place: Arc::new(place), url: self.url.clone() }
    }

    /// Where the objects are, if they are files on this host.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("file://")?.split('?').next()?;
        Some(PathBuf::from(path).join(self.place.prefix.as_ref()))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn store(&self, seed: u64) -> Store {
        Store::new((*self.place).clone(), seed)
    }

    /// How many epochs to fight for.
    pub(crate) fn rounds() -> u64 {
        std::env::var("WALFS_CONTRACT_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap())
    }

    /// So many objects, or as many as this store makes in a bearable time.
    pub(crate) fn many(&self, wanted: u64) -> u64 {
        let slow = std::env::var_os("WALFS_CONTRACT_SLOW").is_some();
        if slow || self.url.starts_with("hdfs") { wanted / 4 } else { wanted }
    }
}

/// The folder of an object.
pub(crate) fn folder_of(key: &Key) -> String {
    key.to_string().rsplit_once('/').unwrap().0.to_owned()
}

pub(crate) fn skip(why: &str) {
    tell(&format!("skipped: {why}"));
}

/// On the real standard error: what a test prints when it passes is not shown.
pub(crate) fn tell(what: &str) {
    writeln!(io::stderr(), "{what}").ok();
}

/// A file that does not compress.
pub(crate) struct Body(Vec<u8>);

impl Body {
    pub(crate) fn new(len: usize) -> Self {
        let mut bytes = vec![0; len];
        StdRng::seed_from_u64(7).fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        let size = u64::try_from(self.0.len()).unwrap();
        vec![Member { path: RelPath::new("file").unwrap(), size }]
    }

    /// What a manifest would know of it.
    pub(crate) fn segment(&self, uploaded: Uploaded) -> Segment {
        let frames = uploaded.into_seal().frames;
        Segment { len: u64::try_from(self.0.len()).unwrap(), frames }
    }
}

impl Source for Body {
    fn read_at(&mut self, _: usize, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0[usize::try_from(offset).unwrap()..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
