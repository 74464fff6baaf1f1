//! Whole manifests: where a reader of the chain begins. Does not decide when one is due.

use crate::volume::codec::{decode_checkpoint, encode_checkpoint};
use crate::volume::keys::Key;
use crate::volume::{Manifest, Position};

use super::chain::{Chain, misread};
use super::{Created, StoreError};

impl Chain {
    /// The newest usable checkpoint's manifest, or the empty one. A reader that was away begins
    /// here: the links that it would ask for next may have been swept.
    pub async fn start(&self) -> Result<Manifest, StoreError> {
        let mut unusable = None;
        for at in self.checkpoints().await?.into_iter().rev() {
            match self.load_checkpoint(at).await {
                Ok(Some(manifest)) => return Ok(manifest),
                Ok(None) => {
                    let why = format!("checkpoint {at} was swept while it was read");
                    unusable = Some(StoreError::Unavailable(why));
                }
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::warn!(%error, "checkpoint is damaged; using the one before it");
                    unusable = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        // Without a checkpoint the history is read from its beginning, if that was not swept.
        match unusable {
            Some(error) if self.read(Manifest::empty().successor()).await?.is_none() => Err(error),
            _ => Ok(Manifest::empty()),
        }
    }

    /// The positions of all checkpoints, oldest first. One list.
    pub async fn checkpoints(&self) -> Result<Vec<Position>, StoreError> {
        let listed = self.store.list("checkpoints").await?;
        let position = |key: &Key| match key {
            Key::Checkpoint(at) => Some(*at),
            _ => None,
        };
        Ok(listed.iter().filter_map(|object| position(&object.key)).collect())
    }

    /// The manifest that was saved at this position; `None` if none was.
    pub async fn load_checkpoint(&self, at: Position) -> Result<Option<Manifest>, StoreError> {
        let key = Key::Checkpoint(at);
        let Some(bytes) = self.store.get(&key).await? else { return Ok(None) };
        let manifest = decode_checkpoint(&bytes).map_err(|error| misread(&key, &error))?;
        if manifest.position == Some(at) {
            return Ok(Some(manifest));
        }
        let reason = "it is a checkpoint of another position".to_owned();
        Err(StoreError::Corrupt { key: key.to_string(), reason })
    }

    /// Saves this manifest under its position. No error if the same one is there already; the
    /// empty manifest needs no checkpoint.
    pub async fn save_checkpoint(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let Some(at) = manifest.position else { return Ok(()) };
        let key = Key::Checkpoint(at);
        let bytes = encode_checkpoint(manifest);
        let mut attempts = self.store.attempts();
        loop {
            let unclear = match self.store.create(&key, bytes.clone()).await? {
                Created::New => return Ok(()),
                Created::Unclear(why) => why,
            };
            match self.load_checkpoint(at).await? {
                Some(found) if found == *manifest => return Ok(()),
                Some(_) => {
                    let reason = "another manifest is saved at this position".to_owned();
                    return Err(StoreError::Corrupt { key: key.to_string(), reason });
                }
                None => attempts.pause(format!("save {key}: {unclear}")).await?,
            }
        }
    }
}
