//! What a chain relies on: a name has one winner and keeps its bytes, and what was written is seen
//! by everybody, also by those who asked too early.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use object_store::{Error, GetOptions};

use super::Finding;
use super::probe::Probe;

const WRITERS: u8 = 16;
const RACES: u8 = 5;
/// How often to look again for what must be there at once.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

pub(super) async fn taken_name(probe: &Probe) -> Finding {
    const CHECK: &str = "create-if-absent";
    let (name, first) = ("taken", Bytes::from_static(b"first"));
    if let Err(error) = probe.create(name, first.clone()).await {
        return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
    }
    let second = probe.create(name, Bytes::from_static(b"second")).await;
    match (second, probe.get(name).await) {
        (Err(_), Ok(bytes)) if bytes == first => {
            Finding::good(CHECK, "a taken name is refused and keeps its bytes")
        }
        (_, Err(error)) => Finding::unfit(CHECK, format!("what was created is not there: {error}")),
        _ => Finding::unfit(
            CHECK,
            "a taken name was overwritten: the store ignores the condition (If-None-Match), and \
             two primaries would destroy each other's log",
        ),
    }
}

pub(super) async fn race(one: &Probe, other: &Probe) -> Finding {
    const CHECK: &str = "race";
    for round in 0..RACES {
        let name = format!("race-{round}");
        let writers = (0..WRITERS).map(|writer| {
            let (probe, name) = (if writer % 2 == 0 { one } else { other }, name.clone());
            async move { (writer, probe.create(&name, Bytes::from(vec![writer; 4096])).await) }
        });
        let outcomes = join_all(writers).await;
        let won: Vec<u8> =
            outcomes.iter().filter(|(_, made)| made.is_ok()).map(|(writer, _)| *writer).collect();
        let bytes = match one.get(&name).await {
            Ok(bytes) => bytes,
            Err(error) => {
                return Finding::unfit(CHECK, format!("of {WRITERS} writers none won: {error}"));
            }
        };
        let torn = bytes.len() != 4096 || bytes.iter().any(|byte| bytes.first() != Some(byte));
        if torn || won.len() > 1 || won.first().is_some_and(|won| bytes.first() != Some(won)) {
            let count = won.len();
            return Finding::unfit(
                CHECK,
                format!("of {WRITERS} writers of one name {count} were told that they won it"),
            );
        }
    }
    Finding::good(CHECK, format!("of {WRITERS} writers of one name one wins, {RACES} times"))
}

pub(super) async fn read_after_miss(one: &Probe, other: &Probe) -> Finding {
    const CHECK: &str = "read after write";
    let (name, bytes) = ("late", Bytes::from_static(b"late"));
    for probe in [one, other] {
        if !matches!(probe.get(name).await, Err(Error::NotFound { .. })) {
            return Finding::unfit(CHECK, "a missing object is not answered with \"absent\"");
        }
    }
    if let Err(error) = one.create(name, bytes.clone()).await {
        return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
    }
    let mut waited = Duration::ZERO;
    for _ in 0..LOOKS {
        if other.get(name).await.is_ok_and(|found| found == bytes) {
            return if waited.is_zero() {
                Finding::good(CHECK, "what was written is seen at once, also by who asked before")
            } else {
                Finding::warning(CHECK, format!("what was written is seen {waited:?} later"))
            };
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        waited += BETWEEN_LOOKS;
    }
    Finding::unfit(
        CHECK,
        "who asked for an object before it was written still does not see it: something on the \
         way remembers that it is missing (a proxy or CDN that caches 404?)",
    )
}

pub(super) async fn ranges(probe: &Probe) -> Finding {
    const CHECK: &str = "ranges";
    let (name, bytes) = ("ranges", Bytes::from_static(b"0123456789"));
    if let Err(error) = probe.create(name, bytes.clone()).await {
        return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
    }
    let options = GetOptions::new().with_range(Some(3..7));
    match probe.fetch(name, options).await {
        Ok(part) if part == bytes.slice(3..7) => Finding::good(CHECK, "parts of objects are read"),
        Ok(part) => {
            Finding::unfit(CHECK, format!("of 4 bytes that were asked for {} came", part.len()))
        }
        Err(error) => Finding::unfit(CHECK, format!("parts of objects are not read: {error}")),
    }
}
