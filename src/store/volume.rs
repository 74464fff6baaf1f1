//! The `volume` object: created once, checked at each mount.

use bytes::Bytes;

use crate::volume::info::VolumeInfo;
use crate::volume::keys::Key;

use super::chain::misread;
use super::{Created, Store, StoreError};

/// What kind of volume is here; `None` if there is none.
pub async fn find_volume(store: &Store) -> Result<Option<VolumeInfo>, StoreError> {
    let Some(bytes) = store.get(&Key::Volume).await? else { return Ok(None) };
    match VolumeInfo::from_json(&bytes) {
        Ok(info) => Ok(Some(info)),
        Err(error) => Err(misread(&Key::Volume, &error)),
    }
}

/// The volume that is here from now on: this one, or the one that was here first.
pub async fn create_volume(store: &Store, wish: &VolumeInfo) -> Result<VolumeInfo, StoreError> {
    let bytes = Bytes::from(wish.to_json());
    let mut attempts = store.attempts();
    loop {
        let unclear = match store.create(&Key::Volume, bytes.clone()).await? {
            Created::New => return Ok(wish.clone()),
            Created::Unclear(why) => why,
        };
        match find_volume(store).await? {
            Some(info) => return Ok(info),
            None => attempts.pause(format!("create {}: {unclear}", Key::Volume)).await?,
        }
    }
}

/// Whether the volume's files mean what this mount takes them for.
pub fn check_layout(info: &VolumeInfo, layout: &str) -> Result<(), StoreError> {
    if info.layout == layout {
        return Ok(());
    }
    let reason = format!(
        "this volume was created with layout={} and cannot be mounted with layout={layout}: use \
         the former, or another prefix for a new volume",
        info.layout
    );
    Err(StoreError::Unsupported { key: Key::Volume.to_string(), reason })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::store::Place;
    use crate::store::faulty::{Fault, FaultyStore, Weather};
    use crate::volume::{VolumeId, WallTime};

    fn wish(id: u8) -> VolumeInfo {
        let volume = VolumeId([id; 16]);
        VolumeInfo { volume, layout: "postgres".to_owned(), created: WallTime(0) }
    }

    fn store() -> (Store, FaultyStore) {
        let faulty = FaultyStore::new(Arc::new(InMemory::new()), 1, Weather::CALM);
        let place = Place::behind(Arc::new(faulty.clone()), "pg".into(), String::new());
        (Store::new(place, 1), faulty)
    }

    #[tokio::test(start_paused = true)]
    async fn a_volume_is_created_once_whatever_the_store_answers() {
        let (store, faulty) = store();
        assert_eq!(find_volume(&store).await, Ok(None));
        faulty.script_writes([Fault::Conflict, Fault::LostReply].map(Some));
        assert_eq!(create_volume(&store, &wish(1)).await, Ok(wish(1)));
        assert_eq!(create_volume(&store, &wish(2)).await, Ok(wish(1)));
        assert_eq!(find_volume(&store).await, Ok(Some(wish(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn another_layout_or_a_newer_format_is_refused_with_the_way_out() {
        let error = check_layout(&wish(1), "questdb").unwrap_err();
        assert!(error.to_string().contains("layout=postgres"), "{error}");
        assert_eq!(check_layout(&wish(1), "postgres"), Ok(()));
        let (store, _) = store();
        store.put(&Key::Volume, Bytes::from_static(b"{\"format\":900}")).await.unwrap();
        let error = find_volume(&store).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unsupported { reason, .. } if reason.contains("upgrade"))
        );
    }
}
