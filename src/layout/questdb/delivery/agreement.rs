//! Whether the log here is the beginning of the volume's. Where it is not, somebody wrote into a
//! table that is replicated: what the server would apply next does not follow from what it has.

use crate::layout::questdb::bytes::i64_at;
use crate::layout::questdb::txnlog::{Form, Header, Record, What};

/// What the records here are to those of the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The same.
    Same,
    /// The same, but for this commit, which the server here made when it was told to: it is to be
    /// overwritten.
    Retime(u64),
    /// This one is the first that differs.
    Differs(u64),
}

/// What a server here is told to do, and then appends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A change of structure: the same record but for its time.
    Change,
    /// A view's definition: an event of a writer of its own, whose numbers begin here.
    Definition(u32),
}

/// Compares the records of the commits after `after`: as many as are here.
pub fn compare((form, told): (Form, Told), after: u64, here: &[u8], volume: &[u8]) -> Agreement {
    let Ok(len) = usize::try_from(form.record()) else { return Agreement::Differs(after + 1) };
    let mut retime = None;
    let count = u64::try_from(here.len() / len).unwrap_or(u64::MAX);
    for (txn, (mine, theirs)) in (after + 1..)
        .zip(here.chunks(len).zip(volume.chunks(len).chain(std::iter::repeat(&[][..]))))
    {
        if mine == theirs {
            continue;
        }
        let last = txn == after + count;
        if !last || !is_as_told(told, mine, theirs) {
            return Agreement::Differs(txn);
        }
        retime = Some(txn);
    }
    retime.map_or(Agreement::Same, Agreement::Retime)
}

/// Whether both logs are of the same table: of the same form, made at the same moment.
pub fn is_same_log(here: &[u8], volume: &[u8]) -> bool {
    let form = |bytes| Header::parse(bytes).map(|header| header.form);
    form(here).is_some() && form(here) == form(volume) && i64_at(here, 12) == i64_at(volume, 12)
}

fn is_as_told(told: Told, mine: &[u8], theirs: &[u8]) -> bool {
    let parsed = Record::parse(mine).zip(Record::parse(theirs));
    parsed.is_some_and(|(mine, theirs)| match (told, mine.what, theirs.what) {
        (Told::Change, What::Change, _) => Record { time: theirs.time, ..mine } == theirs,
        (Told::Definition(own), What::Event { wal, .. }, What::Event { .. }) => wal >= own,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(structure: u8, wal: i32, time: u8) -> Vec<u8> {
        let mut bytes = vec![0; 28];
        bytes[0] = structure;
        bytes[8..12].copy_from_slice(&wal.to_le_bytes());
        bytes[20] = time;
        bytes
    }

    #[test]
    fn what_was_written_here_is_found() {
        let volume = [record(0, 1, 1), record(1, -1, 2), record(1, 2, 3)].concat();
        let told = (Form::Whole, Told::Change);
        let compare = |here: &[u8]| compare(told, 0, here, &volume);
        assert_eq!(compare(&volume), Agreement::Same);
        assert_eq!(compare(&volume[..28]), Agreement::Same);
        assert_eq!(compare(&[record(0, 1, 1), record(1, -1, 9)].concat()), Agreement::Retime(2));
        assert_eq!(compare(&[record(0, 1, 1), record(2, -1, 2)].concat()), Agreement::Differs(2));
        assert_eq!(compare(&[record(0, 1, 9)].concat()), Agreement::Differs(1));
        let longer = [&volume[..], &record(1, 5, 4)].concat();
        assert_eq!(compare(&longer), Agreement::Differs(4));
        let early = [record(0, 1, 1), record(1, -1, 9), record(1, 2, 3)].concat();
        assert_eq!(compare(&early), Agreement::Differs(2));
    }

    #[test]
    fn a_definition_that_the_server_was_told_is_an_event_of_its_own() {
        let volume = [record(0, 1, 1), record(0, 2, 2)].concat();
        let told = (Form::Whole, Told::Definition(1000));
        let compare =
            |wal| compare(told, 0, &[record(0, 1, 1), record(0, wal, 3)].concat(), &volume);
        assert_eq!(compare(1001), Agreement::Retime(2));
        assert_eq!(compare(3), Agreement::Differs(2));
    }
}
