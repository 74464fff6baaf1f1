//! The doctor's verdict on servers that are not what they seem.

use std::collections::BTreeMap;

use walfs::store::doctor::{Fit, Report, Verdict, examine};
use walfs::store::{Place, connect};
use walfs::volume::{Clock, WallTime};

use crate::server::{Act, Quirk, Server};

#[derive(Debug)]
struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> WallTime {
        WallTime(jiff::Timestamp::now().as_microsecond())
    }
}

fn place(server: &Server) -> Place {
    let options = BTreeMap::from([
        ("endpoint".to_owned(), server.endpoint()),
        ("skip_signature".to_owned(), "true".to_owned()),
    ]);
    connect("s3://bucket/pg", &options).unwrap()
}

/// From these not everything can be taken away again.
const KEEPERS: [Quirk; 2] = [Quirk::KeepsAll, Quirk::NoBulk];

async fn examined(server: &Server) -> Report {
    examine(&place(server), &place(server), 7, &HostClock, &mut |_| {}).await
}

/// The findings that are not as they should be.
fn troubles(report: &Report) -> Vec<(&str, &str)> {
    let troubles = report.findings.iter().filter(|finding| finding.verdict != Verdict::Good);
    troubles.map(|finding| (finding.check, finding.detail.as_str())).collect()
}

#[tokio::test]
async fn a_good_store_is_found_good_and_left_empty() {
    let server = Server::start().await;
    let report = examined(&server).await;
    assert_eq!((report.fit, troubles(&report)), (Fit::Primary, vec![]));
    assert_eq!((report.timings.len(), server.count()), (6, 0));
}

#[tokio::test]
async fn each_fault_is_named_with_what_to_do() {
    let faults = [
        (Quirk::IgnoresConditions, Fit::Nothing, "create-if-absent", "If-None-Match"),
        (Quirk::ForbidsMissing, Fit::Nothing, "reach", "s3:ListBucket"),
        (Quirk::UnknownKey, Fit::Nothing, "reach", "InvalidAccessKeyId"),
        (Quirk::NoBucket, Fit::Nothing, "reach", "NoSuchBucket"),
        (Quirk::RemembersMissing, Fit::Nothing, "read after write", "caches 404"),
        (Quirk::ReadOnly, Fit::Replica, "write", "enough for replicas"),
        (Quirk::Ahead(20), Fit::Replica, "clock", "behind the store's"),
        (Quirk::Ahead(-20), Fit::Replica, "clock", "ahead of the store's"),
        (Quirk::KeepsAll, Fit::Primary, "delete", "may not delete"),
        (Quirk::ForgetsNames, Fit::Nothing, "names", "is not listed"),
        (Quirk::OnePage, Fit::Nothing, "pages of lists", "only the first page"),
        (Quirk::Expires, Fit::Replica, "lifecycle rules", "monthly"),
        (Quirk::ExpiresLog, Fit::Replica, "lifecycle rules", "`old` deletes"),
        (Quirk::KeepsVersions, Fit::Primary, "versions", "goes on costing"),
        (Quirk::Locks, Fit::Primary, "object lock", "COMPLIANCE"),
        (Quirk::SendsAll, Fit::Primary, "tags", "no 304"),
        (Quirk::LosesEnds, Fit::Primary, "range past the end", "said to be missing"),
        (Quirk::ListsAll, Fit::Primary, "list from a name on", "before that name"),
        (Quirk::NoBulk, Fit::Primary, "deletes at once", "store.disable_bulk_delete=true"),
        (Quirk::NoParts, Fit::Primary, "large bodies", "wal_segment_size"),
        (Quirk::Throttles, Fit::Primary, "pace", "of 8 at once 8 failed"),
    ];
    for (quirk, fit, check, words) in faults {
        let server = Server::start().await;
        server.set_quirk(quirk);
        let report = examined(&server).await;
        assert_eq!(report.fit, fit, "{quirk:?}: {report:?}");
        let troubles = troubles(&report);
        let named = troubles.iter().any(|(it, why)| *it == check && why.contains(words));
        assert!(named, "{quirk:?}: {troubles:?}");
        assert!(server.count() == 0 || KEEPERS.contains(&quirk), "{quirk:?} leaves something");
    }
}

#[tokio::test]
async fn what_a_store_does_not_tell_is_said_to_be_not_checked() {
    let server = Server::start().await;
    server.set_quirk(Quirk::HidesRules);
    let report = examined(&server).await;
    let rules = report.findings.iter().find(|finding| finding.check == "lifecycle rules").unwrap();
    assert!(rules.detail.contains("not checked (status 403 AccessDenied)"), "{}", rules.detail);
    assert_eq!((report.fit, troubles(&report)), (Fit::Primary, vec![]));
}

#[tokio::test]
async fn a_directory_is_examined_with_what_it_is_on() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}/store", directory.path().display());
    let place = || connect(&url, &BTreeMap::new()).unwrap();
    let report = examine(&place(), &place(), 7, &HostClock, &mut |_| {}).await;
    let checks: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
    assert!(checks.contains(&"file system") && checks.contains(&"links and syncs"), "{checks:?}");
    assert!(report.fit == Fit::Primary, "{:?}", troubles(&report));
    let left = std::fs::read_dir(directory.path().join("store")).unwrap().count();
    assert_eq!(left, 0, "nothing is left");
}

#[tokio::test]
async fn a_store_that_is_away_is_told_so() {
    let server = Server::start().await;
    server.script_gets(&[Act::Not(503); 4]);
    let report = examined(&server).await;
    assert!(report.fit == Fit::Nothing && troubles(&report)[0].1.contains("SlowDown"));
}
