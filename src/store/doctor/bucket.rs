//! What the store does to objects by itself: keeps old versions, deletes by rules, locks. What the
//! store does not tell, or not to these credentials, is said to be not checked.

use std::time::Duration;

use bytes::Bytes;

use super::Finding;
use super::probe::Probe;
use crate::store::connect::{Beyond, Bucket, Told};
use crate::volume::keys::Key;
use crate::volume::{Position, SegmentId};

const LIMIT: Duration = Duration::from_secs(20);
const NAME: &str = "kept";
const RULES: &str = "lifecycle rules";

pub(super) async fn versions(probe: &Probe) -> Finding {
    const CHECK: &str = "versions";
    let version = match probe.create_version(NAME, Bytes::from_static(b"kept")).await {
        Ok(version) => version,
        Err(error) => return Finding::unfit(CHECK, format!("cannot create: {error}")),
    };
    match (&probe.beyond, version.as_deref()) {
        (Beyond::Directory(_) | Beyond::NameNode(_), _) => {
            Finding::good(CHECK, "of files there is one; snapshots of the file system not checked")
        }
        (Beyond::Generations, _) => {
            let what = "not checked: this store does not tell; what is deleted may go on costing";
            Finding::good(CHECK, what)
        }
        (_, None | Some("null")) => Finding::good(CHECK, "what is deleted is gone"),
        (_, Some(_)) => Finding::warning(
            CHECK,
            "are kept: what walfs deletes goes on costing; add a rule that deletes noncurrent \
             versions after a few days",
        ),
    }
}

/// After `versions`, which wrote an object.
pub(super) async fn rules(probe: &Probe) -> Finding {
    let Beyond::Bucket(bucket) = &probe.beyond else {
        let what = "not checked: only an S3 bucket tells them; none may delete below the prefix";
        return Finding::good(RULES, what);
    };
    match ask(bucket, &format!("/{}", probe.path(NAME))).await {
        Ok(Told { expiration: Some(rule), .. }) => {
            return Finding::no_primary(
                RULES,
                format!(
                    "one deletes what walfs writes, and the history would break: exempt the \
                         prefix ({rule})"
                ),
            );
        }
        Ok(_) => {}
        Err(why) => return Finding::warning(RULES, format!("not checked: {why}")),
    }
    let folder = probe.folder.as_ref();
    let prefix = folder.rsplit_once('/').map_or("", |(prefix, _)| prefix);
    match ask(bucket, "?lifecycle").await {
        Ok(Told { status: 200, text, .. }) => judge_rules(&text, prefix),
        Ok(Told { status: 404, text, .. }) if text.contains("NoSuchLifecycle") => {
            Finding::good(RULES, "there are none")
        }
        Ok(told) => Finding::good(
            RULES,
            format!(
                "none deletes this examination's object; the rest is not checked ({})",
                said(&told)
            ),
        ),
        Err(why) => Finding::warning(RULES, format!("not checked: {why}")),
    }
}

/// After `versions`, which wrote an object.
pub(super) async fn lock(probe: &Probe) -> Finding {
    const CHECK: &str = "object lock";
    let Beyond::Bucket(bucket) = &probe.beyond else {
        return Finding::good(CHECK, "not checked: only an S3 bucket tells it");
    };
    match ask(bucket, &format!("/{}", probe.path(NAME))).await {
        Ok(Told { lock: Some(mode), .. }) => Finding::warning(
            CHECK,
            format!(
                "new objects are locked ({mode}): old log cannot be deleted before the lock \
                     ends, and costs until then"
            ),
        ),
        Ok(Told { status: 200, .. }) => Finding::good(CHECK, "new objects are not locked"),
        Ok(told) => Finding::good(CHECK, format!("not checked: {}", said(&told))),
        Err(why) => Finding::good(CHECK, format!("not checked: {why}")),
    }
}

/// Whether the store tells a long list in pages, and how to go on.
pub(super) async fn pages(probe: &Probe) -> Finding {
    const CHECK: &str = "pages of lists";
    let Beyond::Bucket(bucket) = &probe.beyond else {
        return Finding::good(CHECK, "not checked: would take more than a thousand objects");
    };
    let prefix = format!("{}/names/", probe.folder).replace('/', "%2F");
    match ask(bucket, &format!("?list-type=2&max-keys=1&prefix={prefix}")).await {
        Ok(Told { status: 200, text, .. }) => {
            let one = text.matches("<Key>").count() == 1;
            let goes_on = text.contains("<NextContinuationToken>");
            match (one, goes_on) {
                (true, true) => Finding::good(CHECK, "say how to go on"),
                (true, false) => Finding::unfit(
                    CHECK,
                    "do not say how to go on: of a long list only the first page would be seen",
                ),
                (false, _) => Finding::good(CHECK, "have a size of the store's own choice"),
            }
        }
        Ok(told) => Finding::warning(CHECK, format!("not checked: {}", said(&told))),
        Err(why) => Finding::warning(CHECK, format!("not checked: {why}")),
    }
}

async fn ask(bucket: &Bucket, what: &str) -> Result<Told, String> {
    let asked = tokio::time::timeout(LIMIT, bucket.ask(what)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
}

/// The code of an error that S3 told.
fn said(told: &Told) -> String {
    let code = told.text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    format!("status {} {}", told.status, code.unwrap_or_default()).trim_end().to_owned()
}

/// Whether one of these rules, as S3 writes them, deletes or freezes what is below the prefix.
fn judge_rules(text: &str, prefix: &str) -> Finding {
    let rules = text.split("<Rule>").skip(1);
    let enabled: Vec<&str> = rules.filter(|rule| rule.contains("<Status>Enabled")).collect();
    let below = |rule: &&&str| {
        let named = rule.split("<Prefix>").nth(1).and_then(|rest| rest.split("</Prefix>").next());
        let named = named.unwrap_or_default();
        // A rule for what walfs writes, for something above it, or for a part of it. walfs gives
        // its objects no tags.
        let meets = |ours: &String| ours.starts_with(named) || named.starts_with(ours);
        !rule.contains("<Tag>") && written(prefix).iter().any(meets)
    };
    let ours: Vec<_> = enabled.iter().filter(below).collect();
    let id = |rule: &str| {
        let id = rule.split("<ID>").nth(1).and_then(|rest| rest.split("</ID>").next());
        id.unwrap_or("without a name").to_owned()
    };
    // `NoncurrentVersionExpiration` and the clearing away of unfinished uploads do no harm.
    if let Some(rule) =
        ours.iter().find(|rule| rule.contains("<Expiration>") && !only_markers(rule))
    {
        let id = id(rule);
        return Finding::no_primary(
            RULES,
            format!(
                "`{id}` deletes what walfs writes, and the history would break: exempt \
                     {prefix}/"
            ),
        );
    }
    if let Some(rule) = ours.iter().find(|rule| rule.contains("<Transition>")) {
        let id = id(rule);
        return Finding::warning(
            RULES,
            format!(
                "`{id}` moves objects to another class: from an archive replicas cannot read \
                     them"
            ),
        );
    }
    Finding::good(RULES, "none deletes below the prefix")
}

/// What every name of a volume begins with.
fn written(prefix: &str) -> Vec<String> {
    let at = Position::default();
    let body = SegmentId { epoch: at.epoch, counter: 0 };
    let keys = [Key::Volume, Key::Link(at), Key::Checkpoint(at), Key::Segment(body)];
    let folder = |key: Key| {
        let name = key.to_string();
        name.split_once('/').map_or(name.clone(), |(folder, _)| format!("{folder}/"))
    };
    let below = |name| if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    keys.into_iter().map(folder).map(below).collect()
}

/// Whether the rule expires nothing but the marks that deletes leave.
fn only_markers(rule: &str) -> bool {
    !rule.contains("<Days>") && !rule.contains("<Date>")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn rule(prefix: &str, status: &str, what: &str) -> String {
        format!(
            "<LifecycleConfiguration><Rule><ID>tidy</ID><Filter><Prefix>{prefix}</Prefix></Filter>\
             <Status>{status}</Status>{what}</Rule></LifecycleConfiguration>"
        )
    }

    #[test]
    fn a_rule_that_deletes_below_the_prefix_is_an_error() {
        let days = "<Expiration><Days>30</Days></Expiration>";
        for prefix in ["", "pg", "pg/", "pg/log/"] {
            let found = judge_rules(&rule(prefix, "Enabled", days), "pg");
            assert_eq!(found.verdict, Verdict::NoPrimary, "{prefix}");
            assert!(found.detail.contains("`tidy`"));
        }
        assert_eq!(judge_rules(&rule("other/", "Enabled", days), "pg").verdict, Verdict::Good);
        assert_eq!(judge_rules(&rule("", "Disabled", days), "pg").verdict, Verdict::Good);
        let tagged = rule("pg/", "Enabled", &format!("<Tag><Key>old</Key></Tag>{days}"));
        assert_eq!(judge_rules(&tagged, "pg").verdict, Verdict::Good);
    }

    #[test]
    fn a_volume_may_be_a_whole_bucket() {
        let days = "<Expiration><Days>30</Days></Expiration>";
        let judged = |prefix| judge_rules(&rule(prefix, "Enabled", days), "").verdict;
        assert_eq!(judged("log/"), Verdict::NoPrimary);
        assert_eq!(judged("lo"), Verdict::NoPrimary);
        assert_eq!(judged("other/"), Verdict::Good);
    }

    #[test]
    fn rules_that_only_tidy_up_are_good_and_archives_are_told() {
        let old = "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>\
                   </NoncurrentVersionExpiration>";
        assert_eq!(judge_rules(&rule("", "Enabled", old), "pg").verdict, Verdict::Good);
        let cold = "<Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>";
        assert_eq!(judge_rules(&rule("", "Enabled", cold), "pg").verdict, Verdict::Warning);
    }
}
