//! What a primary tells about itself, in the shape that all mounts share.

use crate::fuse::status::Status;
use crate::volume::WallTime;

use super::front::Account;

/// What of a status does not change while the primary runs.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The volume's id.
    pub(super) volume: String,
    /// Where the volume is.
    pub(super) url: String,
    /// What the files mean.
    pub(super) layout: String,
    /// This node's id.
    pub(super) node: String,
    /// What people call this node.
    pub(super) node_name: String,
}

/// The status of this account. `outage` is what keeps the store from answering.
pub(super) fn status(
    identity: &Identity,
    account: &Account,
    outage: Option<String>,
    now: WallTime,
) -> Status {
    let state = match (&account.fenced, &outage) {
        (Some(_), _) => "fenced",
        (None, _) if account.stopping => "stopping",
        (None, Some(_)) => "store-away",
        (None, None) => "running",
    };
    let reign = account.reign.as_ref();
    Status {
        role: "primary".to_owned(),
        state: state.to_owned(),
        problem: account.fenced.clone().or(outage).or_else(|| trouble(account)),
        volume: identity.volume.clone(),
        url: identity.url.clone(),
        layout: identity.layout.clone(),
        node: identity.node.clone(),
        node_name: identity.node_name.clone(),
        pid: std::process::id(),
        epoch: reign.map_or(0, |reign| reign.next.0),
        primary: reign.map(|reign| reign.node_name.clone()),
        primary_since: reign.map(|reign| reign.time.to_string()),
        position: account.position.map(|position| position.to_string()),
        position_time: account.position.map(|_| account.time.to_string()),
        database: account.database.clone(),
        backlog_bytes: Some(account.backlog),
        backlog_seconds: account.oldest.map(|oldest| seconds_between(oldest, now)),
        held_files: Some(account.held),
        server_version: account.about.server.clone(),
        left_out: account.about.left_out.clone(),
        aims: account.aims.clone(),
        ..Status::default()
    }
}

/// What is wrong on this host.
fn trouble(account: &Account) -> Option<String> {
    let flaws = || (!account.flaws.is_empty()).then(|| account.flaws.join("; "));
    account.problem.clone().or_else(flaws)
}

fn seconds_between(earlier: WallTime, later: WallTime) -> f64 {
    let micros = u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0);
    std::time::Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(account: &Account, outage: Option<&str>) -> Status {
        let text = String::new;
        let identity = Identity {
            volume: text(),
            url: text(),
            layout: text(),
            node: text(),
            node_name: text(),
        };
        status(&identity, account, outage.map(str::to_owned), WallTime(3_500_000))
    }

    #[test]
    fn the_age_of_the_backlog_counts_from_its_oldest_byte() {
        let account = Account { oldest: Some(WallTime(2_000_000)), ..Account::default() };
        assert_eq!(status_of(&account, None).backlog_seconds, Some(1.5));
        assert_eq!(status_of(&Account::default(), None).backlog_seconds, None);
    }

    #[test]
    fn a_fence_outweighs_a_store_that_is_away() {
        let fenced = Account { fenced: Some("b is primary".to_owned()), ..Account::default() };
        let status = status_of(&fenced, Some("away"));
        assert_eq!(
            (status.state.as_str(), status.problem.as_deref()),
            ("fenced", Some("b is primary"))
        );
        assert_eq!(status_of(&Account::default(), Some("away")).state, "store-away");
    }
}
