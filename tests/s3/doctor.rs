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
    ];
    for (quirk, fit, check, words) in faults {
        let server = Server::start().await;
        server.set_quirk(quirk);
        let report = examined(&server).await;
        assert_eq!(report.fit, fit, "{quirk:?}: {report:?}");
        let troubles = troubles(&report);
        let named = troubles.iter().any(|(it, why)| *it == check && why.contains(words));
        assert!(named, "{quirk:?}: {troubles:?}");
        assert!(server.count() == 0 || quirk == Quirk::KeepsAll, "{quirk:?} leaves something");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_told_so() {
    let server = Server::start().await;
    server.script_gets(&[Act::Not(503); 4]);
    let report = examined(&server).await;
    assert!(report.fit == Fit::Nothing && troubles(&report)[0].1.contains("SlowDown"));
}
