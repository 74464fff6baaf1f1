//! What the operator says of the way to a store is what travels.

use std::collections::BTreeMap;

use bytes::Bytes;
use walfs::store::{Chain, Created, Place, Store, connect};
use walfs::volume::keys::Key;
use walfs::volume::{Epoch, SegmentId};

use crate::proxy::{Proxy, STORE};
use crate::server::Server;
use crate::{FIRST, fence_of};

fn place(endpoint: &str, options: &[(&str, &str)]) -> Place {
    let always = [("endpoint", endpoint), ("skip_signature", "true")];
    let options = always.iter().chain(options);
    let options: BTreeMap<String, String> =
        options.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    connect("s3://bucket/pg", &options).unwrap()
}

#[tokio::test]
async fn every_request_goes_through_the_proxy_that_was_named() {
    let server = Server::start().await;
    let address = server.endpoint().trim_start_matches("http://").to_owned();
    let proxy = Proxy::start(address).await;
    let options = [("proxy", proxy.url()), ("disable_bulk_delete", "true".to_owned())];
    let options = options.each_ref().map(|(name, value)| (*name, value.as_str()));
    let store = Store::new(place(STORE, &options), 1);
    let chain = Chain::new(store.clone());
    chain.append(&fence_of(1)).await.unwrap();
    assert_eq!(chain.read(FIRST).await.unwrap().unwrap().bytes, fence_of(1).bytes);
    assert_eq!(store.list("log").await.unwrap().len(), 1);
    store.delete(&Key::Link(FIRST)).await.unwrap();
    assert_eq!(store.get(&Key::Link(FIRST)).await, Ok(None));
    let (puts, others) = server.served();
    assert!(puts == 1 && others >= 4, "{puts} {others}");
    assert_eq!(proxy.passed(), puts + others, "none found another way");
}

#[tokio::test]
async fn what_is_excluded_goes_past_the_proxy() {
    let server = Server::start().await;
    let proxy = Proxy::start("127.0.0.1:1".to_owned()).await;
    let options = [("proxy", proxy.url()), ("proxy_excludes", "127.0.0.1".to_owned())];
    let options = options.each_ref().map(|(name, value)| (*name, value.as_str()));
    let store = Store::new(place(&server.endpoint(), &options), 1);
    assert_eq!(store.get(&Key::Link(FIRST)).await, Ok(None));
    assert_eq!((server.served(), proxy.passed()), ((0, 1), 0));
}

#[tokio::test]
async fn every_object_is_of_the_class_and_encrypted_as_was_said() {
    let options = [
        ("storage_class", "STANDARD_IA"),
        ("server_side_encryption", "aws:kms"),
        ("sse_kms_key_id", "key-of-ours"),
        ("sse_bucket_key_enabled", "true"),
    ];
    let said = [
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key-of-ours"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
    ];
    let server = Server::start().await;
    let store = Store::new(place(&server.endpoint(), &options), 1);
    let all_said = || {
        for (name, value) in said {
            assert_eq!(server.header(name).as_deref(), Some(value), "{name}");
        }
    };
    let made = store.create(&Key::Link(FIRST), Bytes::from_static(b"x")).await;
    assert_eq!(made, Ok(Created::New));
    all_said();
    let body = Key::Segment(SegmentId { epoch: Epoch(1), counter: 1 });
    store.put(&body, Bytes::from_static(b"y")).await.unwrap();
    all_said();

    let plain = Store::new(place(&server.endpoint(), &[]), 1);
    plain.put(&body, Bytes::from_static(b"y")).await.unwrap();
    assert!(said.iter().all(|(name, _)| server.header(name).is_none()), "only if it was said");
}
