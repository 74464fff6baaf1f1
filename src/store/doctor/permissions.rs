//! What these credentials may do, and what the store says about time.

use std::time::Duration;

use bytes::Bytes;
use object_store::Error;

use super::Finding;
use super::probe::Probe;
use crate::store::answers::{self, Answer};
use crate::volume::Clock;

/// Beyond this the clouds refuse signatures.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);
/// Beyond this lag, as replicas tell it, means little.
const SKEW_SEEN: Duration = Duration::from_secs(5);
/// Deletes are tried so often.
const DELETES: u32 = 3;

const FIRST: &str = "first";

pub(super) async fn reach(probe: &Probe) -> Finding {
    const CHECK: &str = "reach";
    match probe.get("missing").await {
        Err(Error::PermissionDenied { source, .. }) if !wrong_keys(&source.to_string()) => {
            Finding::unfit(
                CHECK,
                format!(
                    "a missing object is answered with 403: replicas could not tell the end of \
                     the chain; add the permission to list (s3:ListBucket) to read ({source})"
                ),
            )
        }
        Err(error) => match answers::read(&error) {
            Answer::Absent => Finding::good(CHECK, "a missing object is answered with \"absent\""),
            Answer::Refused(why) => Finding::unfit(CHECK, format!("the store refuses: {why}")),
            Answer::Unclear(why) => Finding::unfit(CHECK, format!("no answer: {why}")),
        },
        Ok(_) => Finding::unfit(CHECK, "an object that nobody wrote is there: a web server?"),
    }
}

fn wrong_keys(text: &str) -> bool {
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "ExpiredToken"]
        .iter()
        .any(|code| text.contains(code))
}

pub(super) async fn list(probe: &Probe) -> Finding {
    const CHECK: &str = "list";
    match probe.list().await.map_err(|error| answers::read(&error)) {
        Ok(found) if found.is_empty() => Finding::good(CHECK, "may list"),
        Ok(found) => Finding::unfit(
            CHECK,
            format!("{} objects are listed in a folder that is new", found.len()),
        ),
        Err(Answer::Absent) => Finding::good(CHECK, "may list"),
        Err(Answer::Refused(why) | Answer::Unclear(why)) => Finding::unfit(
            CHECK,
            format!("may not list, which primary and replica need at their start: {why}"),
        ),
    }
}

pub(super) async fn write(probe: &Probe) -> Finding {
    const CHECK: &str = "write";
    match probe.create(FIRST, Bytes::from_static(b"first")).await {
        Ok(()) => Finding::good(CHECK, "may create objects"),
        Err(error) => match answers::read(&error) {
            Answer::Absent => Finding::unfit(
                CHECK,
                "there is no place to write to: is the bucket's name right, is the access key known?",
            ),
            Answer::Refused(_) => Finding::no_primary(
                CHECK,
                format!("may not write: enough for replicas, not for a primary ({error})"),
            ),
            Answer::Unclear(why) => cannot(&why),
        },
    }
}

/// Of a store that does not say that it is not allowed.
fn cannot(why: &str) -> Finding {
    const CHECK: &str = "write";
    if why.contains("SafeModeException") {
        return Finding::unfit(
            CHECK,
            format!(
                "cannot write: the name node is in safe mode; wait until it has heard of enough \
                 blocks (hdfs dfsadmin -safemode wait), and examine it again ({why})"
            ),
        );
    }
    Finding::unfit(CHECK, format!("cannot write: {why}"))
}

pub(super) async fn clock(probe: &Probe, clock: &dyn Clock) -> Finding {
    const CHECK: &str = "clock";
    let name = "clock";
    let before = clock.now();
    if let Err(error) = probe.create(name, Bytes::from_static(b"tick")).await {
        return Finding::warning(CHECK, format!("not known: {error}"));
    }
    match probe.head(name).await {
        Ok(meta) => judge(meta.last_modified.timestamp_micros() - before.0),
        Err(error) => Finding::warning(CHECK, format!("not known: {error}")),
    }
}

/// Of a store whose clock is ahead of ours by so many microseconds.
fn judge(ahead: i64) -> Finding {
    const CHECK: &str = "clock";
    let skew = Duration::from_micros(ahead.unsigned_abs());
    let words = humantime::format_duration(Duration::from_secs(skew.as_secs()));
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let told = format!("this host's clock is {words} {side} the store's: set it (NTP)");
    if skew > SKEW_MAX {
        Finding::no_primary(CHECK, format!("{told}; signed requests are refused at 15 minutes"))
    } else if skew > SKEW_SEEN {
        Finding::warning(CHECK, told)
    } else {
        Finding::good(CHECK, "the store's clock and this host's agree")
    }
}

/// Takes away what was, or may have been, written.
pub(super) async fn delete(probes: &[&Probe]) -> Finding {
    const CHECK: &str = "delete";
    let mut refused = None;
    for probe in probes {
        for name in probe.written() {
            if let Err(why) = delete_one(probe, &name).await {
                refused = Some(format!("{} stays ({why})", probe.folder));
            }
        }
    }
    match refused {
        None => Finding::good(CHECK, "may delete; nothing of this examination is left"),
        Some(why) => Finding::warning(
            CHECK,
            format!("may not delete: old log cannot be cleared away, and {why}"),
        ),
    }
}

async fn delete_one(probe: &Probe, name: &str) -> Result<(), String> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Err(error) = probe.delete(name).await else { return Ok(()) };
        match answers::read(&error) {
            Answer::Absent => return Ok(()),
            Answer::Unclear(_) if attempt < DELETES => {}
            // What could not be written need not be deleted.
            Answer::Refused(why) | Answer::Unclear(why) => {
                let absent = matches!(probe.get(name).await, Err(Error::NotFound { .. }));
                return if absent { Ok(()) } else { Err(why) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_name_node_in_safe_mode_is_to_be_waited_for() {
        let said = cannot("org.apache.hadoop.hdfs.server.namenode.SafeModeException: no").detail;
        assert!(said.contains("-safemode wait"), "{said}");
        assert!(!cannot("no answer").detail.contains("safe mode"));
    }

    #[test]
    fn a_clock_may_be_off_by_a_little() {
        assert_eq!(judge(-900_000).verdict, Verdict::Good);
        assert_eq!(judge(60_000_000).verdict, Verdict::Warning);
        let far = judge(-20 * 60 * 1_000_000);
        assert_eq!(far.verdict, Verdict::NoPrimary);
        assert!(far.detail.contains("20m ahead of"), "{}", far.detail);
    }
}
