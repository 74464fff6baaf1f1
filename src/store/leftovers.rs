//! What dead writers left behind. On a store that is a file system an object is written beside its
//! place and put there once it is whole; who dies meanwhile leaves a file that no list shows and no
//! name leads to, but that takes space. Decides which of them may go; `directory` and `hdfs` find
//! and remove them.
//!
//! It may go if its epoch is over and it is old. Over: the fence stands, so that whatever its
//! writer may still finish counts for nobody, and its create fails or is void. Old: a day before
//! the fence, by the store's own clock, so that a writer who is only slow meets no error.

use std::time::Duration;

use async_trait::async_trait;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::volume::keys::Key;
use crate::volume::{Epoch, Fence};

use super::meter::Request;
use super::retry::in_time;
use super::{Store, StoreError};

/// So much older than the fence is what nobody is at work on.
pub const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What messages call them.
const SUBJECT: &str = "a file that a dead writer left unfinished";

/// Where the unfinished files of a store lie.
#[async_trait]
pub trait Workshop: std::fmt::Debug + Send + Sync {
    /// Those below this folder.
    async fn unfinished(&self, folder: &Path) -> object_store::Result<Vec<Unfinished>>;

    /// Takes away the one at this path below the folder; no error if it is gone.
    async fn remove(&self, folder: &Path, path: &str) -> object_store::Result<()>;
}

/// A file that was to become an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Where it lies, below the folder.
    pub path: String,
    /// What it was to become, below the folder.
    pub object: String,
    /// When it was last changed: milliseconds since 1970, by the store's clock.
    pub modified: i64,
}

/// Removes what writers of past epochs left unfinished so long before the fence that began the
/// present one. Says how many files that were.
pub async fn sweep(store: &Store, fence: &Fence, age: Duration) -> Result<usize, StoreError> {
    let Some(workshop) = &store.workshop else { return Ok(0) };
    let failed = |error| store.answer(&error).into_error(SUBJECT);
    let (limit, folder) = (store.patience.total, &store.prefix);
    let at = store.locate(&Key::Link(fence.position).to_string());
    let found = in_time(limit, store.objects.head(&at)).await.map_err(failed)?;
    let age = i64::try_from(age.as_millis()).expect("an age is shorter than the universe's");
    let until = found.last_modified.timestamp_millis() - age;
    store.meter().count(Request::List);
    let unfinished = in_time(limit, workshop.unfinished(folder)).await.map_err(failed)?;
    let mut removed = 0;
    for file in unfinished.iter().filter(|file| may_go(file, fence.next, until)) {
        store.meter().count(Request::Delete);
        in_time(limit, workshop.remove(folder, &file.path)).await.map_err(failed)?;
        removed += 1;
    }
    Ok(removed)
}

fn may_go(file: &Unfinished, epoch: Epoch, until: i64) -> bool {
    let over = match Key::parse(&file.object) {
        // It exists: nobody else can create it.
        Some(Key::Volume) => true,
        Some(Key::Link(at) | Key::Checkpoint(at)) => at.epoch < epoch,
        Some(Key::Segment(id)) => id.epoch < epoch,
        None => false,
    };
    over && file.modified < until
}

/// The number at the end of a name, behind this mark, and what stands before.
pub(super) fn before_number<'a>(name: &'a str, mark: &str) -> Option<&'a str> {
    let (before, number) = name.rsplit_once(mark)?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_of_a_past_epoch_may_go() {
        let file = |object: &str, modified| Unfinished {
            path: String::new(),
            object: object.to_owned(),
            modified,
        };
        let (past, present) = ("0000000000000006", "0000000000000007");
        for folder in ["log", "segments"] {
            let name = |epoch| format!("{folder}/{epoch}/0000000000000000");
            assert!(may_go(&file(&name(past), 9), Epoch(7), 10), "{folder}");
            assert!(!may_go(&file(&name(past), 10), Epoch(7), 10), "{folder}: too young");
            assert!(!may_go(&file(&name(present), 9), Epoch(7), 10), "{folder}: it may live");
        }
        let checkpoint = |epoch| format!("checkpoints/{epoch}-0000000000000000");
        assert!(may_go(&file(&checkpoint(past), 9), Epoch(7), 10));
        assert!(!may_go(&file(&checkpoint(present), 9), Epoch(7), 10));
        assert!(may_go(&file("volume", 9), Epoch(7), 10));
        assert!(!may_go(&file("notes/mine", 9), Epoch(7), 10), "it is not ours");
    }

    #[test]
    fn a_name_ends_in_a_mark_and_a_number() {
        assert_eq!(before_number("a#1#23", "#"), Some("a#1"));
        assert_eq!(before_number("a.tmp.4", ".tmp."), Some("a"));
        for name in ["a", "a#", "a#1x", "a#-1"] {
            assert_eq!(before_number(name, "#"), None, "{name}");
        }
    }
}
