//! How the store lists: every name, in which order, and from where on.

use bytes::Bytes;

use super::Finding;
use super::probe::Probe;

/// The characters that walfs uses, as it uses them: folders, hexadecimal digits, a hyphen.
const NAMES: [&str; 4] = [
    "names/log/0000000000000001/00000000000000ab",
    "names/log/0000000000000001/00000000000000ac",
    "names/checkpoints/0000000000000001-00000000000000ab",
    "names/volume",
];
const FOLDER: &str = "names";

pub(super) async fn names(probe: &Probe) -> Finding {
    const CHECK: &str = "names";
    for name in NAMES {
        if let Err(error) = probe.create(name, Bytes::from_static(b"x")).await {
            return Finding::unfit(CHECK, format!("`{name}` cannot be created: {error}"));
        }
    }
    let found = match probe.names_in(FOLDER).await {
        Ok(found) => found,
        Err(error) => return Finding::unfit(CHECK, format!("cannot be listed: {error}")),
    };
    let missing = NAMES.iter().find(|name| !found.iter().any(|it| it == *name));
    if let Some(name) = missing {
        let why = format!("`{name}` was written and is not listed: a restart would not find it");
        return Finding::unfit(CHECK, why);
    }
    if found.len() > NAMES.len() {
        let (found, written) = (found.len(), NAMES.len());
        return Finding::unfit(CHECK, format!("{found} are listed where {written} were written"));
    }
    let order = if found.is_sorted() { "in their order" } else { "in no order: walfs sorts them" };
    Finding::good(CHECK, format!("all that were written are listed, {order}"))
}

/// After `names`, which wrote them.
pub(super) async fn start_after(probe: &Probe) -> Finding {
    const CHECK: &str = "list from a name on";
    let [first, second, ..] = NAMES;
    match probe.names_after(FOLDER, first).await {
        Err(error) => Finding::warning(CHECK, format!("fails; walfs does not need it: {error}")),
        Ok(found) if !found.iter().any(|name| name == second) => {
            Finding::warning(CHECK, format!("leaves out `{second}`; walfs lists whole folders"))
        }
        Ok(found) if found.iter().any(|name| name.as_str() <= first) => {
            Finding::warning(CHECK, "begins before that name; walfs lists whole folders")
        }
        Ok(_) => Finding::good(CHECK, "lists what comes after it"),
    }
}
