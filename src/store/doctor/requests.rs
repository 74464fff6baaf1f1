//! What walfs can do without, or works around: none of it makes a store unfit.

use bytes::Bytes;
use object_store::{Error, GetOptions};

use super::Finding;
use super::probe::Probe;

const BYTES: Bytes = Bytes::from_static(b"0123456789");
/// A body above what one request carries goes in parts of this size.
const PART: usize = 8 << 20;

pub(super) async fn past_the_end(probe: &Probe) -> Finding {
    const CHECK: &str = "range past the end";
    let name = "past";
    if let Err(error) = probe.create(name, BYTES).await {
        return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
    }
    let half = probe.fetch(name, GetOptions::new().with_range(Some(8..12))).await;
    let all = probe.fetch(name, GetOptions::new().with_range(Some(20..24))).await;
    match (half, all) {
        (Ok(bytes), _) if bytes != BYTES.slice(8..) => Finding::warning(
            CHECK,
            format!(
                "8 of 10 bytes were skipped, and {} others came: every byte is checked by \
                     walfs, but something on the way invents some",
                bytes.len()
            ),
        ),
        (_, Ok(_)) => Finding::warning(CHECK, "is answered as if there were bytes"),
        (_, Err(Error::NotFound { .. })) => Finding::warning(
            CHECK,
            "is answered with \"absent\": a body that was cut short would be said to be missing",
        ),
        (_, Err(_)) => Finding::good(CHECK, "is an error, and ends where the object ends"),
    }
}

pub(super) async fn tags(probe: &Probe) -> Finding {
    const CHECK: &str = "tags";
    let name = "tags";
    if let Err(error) = probe.create(name, BYTES).await {
        return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
    }
    let (first, second) = match (probe.head(name).await, probe.head(name).await) {
        (Ok(first), Ok(second)) => (first.e_tag, second.e_tag),
        (Err(error), _) | (_, Err(error)) => {
            return Finding::warning(CHECK, format!("not known: {error}"));
        }
    };
    let Some(tag) = first.clone() else {
        return Finding::good(CHECK, "objects have no ETag; walfs needs none");
    };
    if first != second {
        return Finding::warning(
            CHECK,
            "an object's ETag changes by itself: something on the way rewrites answers",
        );
    }
    let options = GetOptions { if_none_match: Some(tag), ..GetOptions::new() };
    match probe.fetch(name, options).await {
        Err(Error::NotModified { .. }) => {
            Finding::good(CHECK, "an object's ETag stays, and what has not changed is not sent")
        }
        Ok(_) => Finding::warning(
            CHECK,
            "what has not changed is sent all the same (no 304): walfs does not depend on it",
        ),
        Err(error) => Finding::warning(CHECK, format!("a conditional get fails: {error}")),
    }
}

pub(super) async fn parts(probe: &Probe) -> Finding {
    const CHECK: &str = "large bodies";
    let (name, parts) = ("parts", [Bytes::from(vec![1; PART]), Bytes::from(vec![2; 1 << 20])]);
    if let Err(error) = probe.put_parts(name, &parts).await {
        return Finding::warning(
            CHECK,
            format!(
                "cannot be put in parts: segments above 17 MiB would stay on the primary; keep \
                 wal_segment_size at 16MB, or allow multipart uploads ({error})"
            ),
        );
    }
    let begin = u64::try_from(PART).unwrap_or(u64::MAX) - 2;
    match probe.fetch(name, GetOptions::new().with_range(Some(begin..begin + 4))).await {
        Ok(seam) if seam.as_ref() == [1, 1, 2, 2] => {
            Finding::good(CHECK, "are put in parts, and come back whole")
        }
        Ok(_) => Finding::unfit(CHECK, "that were put in parts come back with other bytes"),
        Err(error) => Finding::warning(CHECK, format!("that were put in parts: {error}")),
    }
}

pub(super) async fn deletes(probe: &Probe) -> Finding {
    const CHECK: &str = "deletes at once";
    let names = ["gone-1", "gone-2"];
    for name in names {
        if let Err(error) = probe.create(name, BYTES).await {
            return Finding::unfit(CHECK, format!("a new name cannot be created: {error}"));
        }
    }
    match probe.delete_at_once(&names).await {
        Ok(()) => Finding::good(CHECK, "several objects are deleted in one request, or in turn"),
        Err(error) if is_refusal(&error) => Finding::warning(CHECK, format!("refused ({error})")),
        Err(error) => Finding::warning(
            CHECK,
            format!(
                "fail: if this store knows no multi-delete, set store.disable_bulk_delete=true \
                 ({error})"
            ),
        ),
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
        || error.to_string().contains("AccessDenied")
}
