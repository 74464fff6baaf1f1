//! What a worker leaves to the one that takes its place: which inodes the kernel knows by number,
//! which opens it holds, and which files it holds open for us. The kernel remembers all that and
//! tells nobody, so it is kept where a killed process cannot take it along: in a nameless file in
//! memory whose descriptor the supervisor holds.
//!
//! Each change is one write that lies within a page, before the kernel gets the answer that it is
//! about: a killed worker leaves no half of one. What was written for an answer that the kernel
//! never got is overwritten when it asks again, because an open is named by its request.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::MemfdFlags;

use super::file_handle::FileHandle;
use super::filesystem::{Handle, Ino};

/// How the file begins: "walfs", a form of our own, counted up when it changes.
const MAGIC: [u8; 8] = *b"walfs\0\0\x01";
/// Before the records: magic, how many workers there were, whether passthrough is to be had.
const HEAD: u64 = 4096;
/// One record. A power of two, so that none lies across pages.
const RECORD: usize = 128;
/// The same, as places in a file count.
const RECORD_LEN: u64 = 128;
/// The first bytes of a record, before the file handle.
const FIELDS: usize = 32;

/// The kinds of records; 0 is none.
const INODE: u32 = 1;
const OPEN: u32 = 2;

/// How the kernel does the I/O of an inode's opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decided {
    /// No open was answered.
    #[default]
    Not,
    /// By asking us.
    Daemon,
    /// By itself, on the file that it knows by this number.
    Kernel(u32),
}

/// An inode that the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Its number.
    pub ino: Ino,
    /// How often it was looked up.
    pub lookups: u64,
    /// How its I/O is done.
    pub decided: Decided,
    /// How the file is found again.
    pub handle: FileHandle,
}

/// An open that the kernel holds, or that a worker died about to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub handle: Handle,
    /// What is open.
    pub ino: Ino,
    /// The flags of `open`.
    pub flags: i32,
}

/// What was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The inodes.
    pub inodes: Vec<Inode>,
    /// Their opens.
    pub opens: Vec<Open>,
}

/// What a worker has from the one before it, and leaves to the one after it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it is kept.
    pub estate: Arc<Estate>,
    /// What was there.
    pub left: Arc<Left>,
}

impl Kept {
    /// What is kept in this file. With `inherit`, another worker had it before.
    pub fn open(file: OwnedFd, inherit: bool) -> io::Result<Self> {
        let (estate, left) = Estate::open(file, inherit)?;
        Ok(Self { estate: Arc::new(estate), left: Arc::new(left) })
    }
}

/// What this worker will leave.
#[derive(Debug)]
pub struct Estate {
    file: File,
    /// Workers before this one.
    before: u32,
    broken: AtomicBool,
    /// Guards: the records, and which of them are whose.
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    inodes: HashMap<Ino, (u64, Inode)>,
    opens: HashMap<Handle, (u64, Ino)>,
    free: Vec<u64>,
    count: u64,
}

impl Estate {
    /// An empty one.
    pub fn create() -> io::Result<Self> {
        let file = File::from(rustix::fs::memfd_create("walfs-estate", MemfdFlags::CLOEXEC)?);
        let head = [&MAGIC[..], &[0; 8]].concat();
        file.write_all_at(&head, 0)?;
        let (broken, records) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { file, before: 0, broken, records })
    }

    /// The one that is kept in this file. With `inherit`, another worker had it before.
    pub fn open(file: OwnedFd, inherit: bool) -> io::Result<(Self, Left)> {
        let file = File::from(file);
        let mut head = [0; 16];
        file.read_exact_at(&mut head, 0)?;
        if head[..8] != MAGIC {
            let told = "a worker of another version left it, or was short of memory";
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        let before = number(&head[8..12]) + u32::from(inherit);
        file.write_all_at(&before.to_le_bytes(), 8)?;
        let (records, left) = read(&file)?;
        let (broken, records) = (AtomicBool::new(false), Mutex::new(records));
        Ok((Self { file, before, broken, records }, left))
    }

    /// How many workers there were before this one.
    pub fn before(&self) -> u32 {
        self.before
    }

    /// Whether the kernel does I/O by itself, as the first worker found out.
    pub fn passthrough(&self) -> bool {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, 12).is_ok() && byte == [1]
    }

    /// The first worker found this out.
    pub fn set_passthrough(&self, available: bool) {
        self.written(self.file.write_all_at(&[u8::from(available)], 12));
    }

    /// The kernel is about to be told of this inode, so many times in all.
    pub fn known(&self, ino: Ino, lookups: u64, handle: FileHandle) {
        let mut records = self.lock();
        let (at, decided) = match records.inodes.get(&ino) {
            Some((at, before)) if before.handle == handle => (*at, before.decided),
            Some((at, _)) => (*at, Decided::Not),
            None => (records.place(), Decided::Not),
        };
        let inode = Inode { ino, lookups, decided, handle };
        records.inodes.insert(ino, (at, inode));
        self.put(at, &inode_record(&inode));
    }

    /// The kernel knows it so many times.
    pub fn counted(&self, ino: Ino, lookups: u64) {
        self.change(ino, |inode| inode.lookups = lookups);
    }

    /// This is how the I/O of its opens is done from now on.
    pub fn decided(&self, ino: Ino, decided: Decided) {
        self.change(ino, |inode| inode.decided = decided);
    }

    /// The kernel knows it no longer.
    pub fn forgotten(&self, ino: Ino) {
        let mut records = self.lock();
        if let Some((at, _)) = records.inodes.remove(&ino) {
            self.clear(&mut records, at);
        }
    }

    /// The kernel is about to be given this open.
    pub fn opened(&self, open: Open) {
        let mut records = self.lock();
        let at = records.opens.get(&open.handle).map(|(at, _)| *at);
        let at = at.unwrap_or_else(|| records.place());
        records.opens.insert(open.handle, (at, open.ino));
        let mut record = [0; RECORD];
        let flags = open.flags.cast_unsigned();
        fill(&mut record, OPEN, flags, open.ino.0, open.handle.0);
        self.put(at, &record);
    }

    /// The kernel released it.
    pub fn closed(&self, handle: Handle) {
        let mut records = self.lock();
        if let Some((at, _)) = records.opens.remove(&handle) {
            self.clear(&mut records, at);
        }
    }

    fn change(&self, ino: Ino, how: impl FnOnce(&mut Inode)) {
        let mut records = self.lock();
        let Some((at, inode)) = records.inodes.get_mut(&ino) else { return };
        let before = *inode;
        how(inode);
        if *inode != before {
            let (at, record) = (*at, inode_record(inode));
            self.put(at, &record);
        }
    }

    fn clear(&self, records: &mut Records, at: u64) {
        records.free.push(at);
        self.put(at, &[0; RECORD]);
    }

    fn put(&self, at: u64, record: &[u8; RECORD]) {
        self.written(self.file.write_all_at(record, place(at)));
    }

    /// Half an estate would be worse than none: nobody takes this one up.
    fn written(&self, result: io::Result<()>) {
        let Err(error) = result else { return };
        // If this fails too, the record that was not written is missing: the kernel's requests about
        // it end in errors, and never at another file.
        let _told = self.file.write_all_at(&[0; MAGIC.len()], 0);
        if !self.broken.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "no memory to remember what the kernel knows: if this process dies, the mount does too");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Estate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Records {
    fn place(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

fn place(at: u64) -> u64 {
    HEAD + at * RECORD_LEN
}

fn read(file: &File) -> io::Result<(Records, Left)> {
    let (mut records, mut left) = (Records::default(), Left::default());
    let bytes = file.metadata()?.len().saturating_sub(HEAD);
    records.count = bytes.div_ceil(RECORD_LEN);
    for at in 0..records.count {
        let mut record = [0; RECORD];
        file.read_exact_at(&mut record, place(at))?;
        let (kind, detail) = (number(&record[..4]), number(&record[4..8]));
        let (ino, count) = (Ino(long(&record[8..16])), long(&record[16..24]));
        match kind {
            INODE => {
                let len = usize::try_from(number(&record[24..28])).unwrap_or(usize::MAX);
                let bytes = record[FIELDS..].get(..len);
                let handle_kind = number(&record[28..32]).cast_signed();
                let handle = bytes.and_then(|bytes| FileHandle::new(handle_kind, bytes));
                let Some(handle) = handle else { return Err(io::ErrorKind::InvalidData.into()) };
                let inode = Inode { ino, lookups: count, decided: decided(detail), handle };
                records.inodes.insert(ino, (at, inode));
                left.inodes.push(inode);
            }
            OPEN => {
                let handle = Handle(count);
                records.opens.insert(handle, (at, ino));
                left.opens.push(Open { handle, ino, flags: detail.cast_signed() });
            }
            _ => records.free.push(at),
        }
    }
    Ok((records, left))
}

fn inode_record(inode: &Inode) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let detail = match inode.decided {
        Decided::Not => 0,
        Decided::Daemon => u32::MAX,
        Decided::Kernel(id) => id,
    };
    fill(&mut record, INODE, detail, inode.ino.0, inode.lookups);
    let (kind, bytes) = inode.handle.parts();
    let len = bytes.len().min(RECORD - FIELDS);
    record[24..28].copy_from_slice(&u32::try_from(len).unwrap_or(0).to_le_bytes());
    record[28..32].copy_from_slice(&kind.to_le_bytes());
    for (place, byte) in record.iter_mut().skip(FIELDS).zip(bytes) {
        *place = *byte;
    }
    record
}

fn decided(detail: u32) -> Decided {
    match detail {
        0 => Decided::Not,
        u32::MAX => Decided::Daemon,
        id => Decided::Kernel(id),
    }
}

fn fill(record: &mut [u8; RECORD], kind: u32, detail: u32, ino: u64, count: u64) {
    record[..4].copy_from_slice(&kind.to_le_bytes());
    record[4..8].copy_from_slice(&detail.to_le_bytes());
    record[8..16].copy_from_slice(&ino.to_le_bytes());
    record[16..24].copy_from_slice(&count.to_le_bytes());
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn long(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Whether a file of this directory can be found again by a record.
pub fn can_find(directory: &OwnedFd) -> bool {
    let handle = FileHandle::of(directory);
    let fits = |handle: &FileHandle| handle.parts().1.len() <= RECORD - FIELDS;
    handle.filter(fits).is_some_and(|handle| handle.open(directory).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherit(estate: Estate) -> (Estate, Left) {
        let file = estate.as_fd().try_clone_to_owned().unwrap();
        drop(estate);
        Estate::open(file, true).unwrap()
    }

    #[test]
    fn what_the_kernel_knows_survives_the_worker_and_what_it_dropped_does_not() {
        let handle = |byte| FileHandle::new(1, &[byte; 8]).unwrap();
        let estate = Estate::create().unwrap();
        estate.set_passthrough(true);
        for number in 2..100 {
            estate.known(Ino(number), 1, handle(1));
        }
        estate.decided(Ino(2), Decided::Kernel(7));
        estate.decided(Ino(3), Decided::Daemon);
        estate.counted(Ino(3), 5);
        for number in 4..100 {
            estate.forgotten(Ino(number));
        }
        let open = Open { handle: Handle(44), ino: Ino(2), flags: libc::O_RDWR };
        estate.opened(open);
        estate.opened(open);
        estate.opened(Open { handle: Handle(46), ..open });
        estate.closed(Handle(46));
        let (estate, mut left) = inherit(estate);
        left.inodes.sort_by_key(|inode| inode.ino);
        let two = Inode { ino: Ino(2), lookups: 1, decided: Decided::Kernel(7), handle: handle(1) };
        let three = Inode { ino: Ino(3), lookups: 5, decided: Decided::Daemon, ..two };
        assert_eq!(left, Left { inodes: vec![two, three], opens: vec![open] });
        assert!(estate.passthrough() && estate.before() == 1);

        estate.known(Ino(2), 1, handle(2));
        estate.closed(Handle(44));
        let (estate, left) = inherit(estate);
        assert_eq!((left.opens.len(), estate.before()), (0, 2));
        let another = left.inodes.iter().find(|inode| inode.ino == Ino(2)).unwrap();
        assert_eq!(another.decided, Decided::Not, "the number is another file's by now");
    }
}
