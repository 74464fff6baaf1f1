//! Which paths stay on their host, by globs. Everything else is log data.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::volume::RelPath;

/// What programs leave behind that means nothing elsewhere, in any directory.
const LOCAL: [&str; 9] = [
    "**/*.tmp",
    "**/*.temp",
    "**/*.lock",
    "**/*.pid",
    "**/*.sock",
    "**/*~",
    "**/.*.swp",
    "lost+found/**",
    ".walfs/**",
];

/// Which paths stay on their host.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    local: GlobSet,
}

impl Rules {
    /// The rules that hold where nobody gave others.
    pub(super) fn built_in() -> Self {
        let mut local = GlobSetBuilder::new();
        for glob in LOCAL {
            let glob = GlobBuilder::new(glob).literal_separator(true).build();
            local.add(glob.expect("the built-in globs are globs"));
        }
        Self { local: local.build().expect("the built-in globs are few") }
    }

    pub(super) fn is_local(&self, path: &RelPath) -> bool {
        self.local.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_programs_leave_behind_stays_local() {
        let rules = Rules::built_in();
        let is_local = |path: &str| rules.is_local(&RelPath::new(path).unwrap());
        let local =
            ["a.tmp", "x/y/a.lock", "a~", "x/.a.swp", "lost+found/1", "x/a.pid", ".walfs/n"];
        for path in local {
            assert!(is_local(path), "{path}");
        }
        for path in ["a", "x/a.log", "tmp", "a.tmp/b", "x/lost+found/1", "lock", "a.swp"] {
            assert!(!is_local(path), "{path}");
        }
    }
}
