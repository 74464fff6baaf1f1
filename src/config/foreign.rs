//! Words of mount(8) and fstab that are accepted and mean nothing to walfs: either systemd and
//! mount(8) act on them, or they are what walfs does anyway.

/// Whole words, between spaces.
const WORDS: &str = "
    allow_other atime auto default_permissions defaults dev diratime exec group iversion
    lazytime loud mand noatime noauto nodev nodiratime noexec nofail nogroup noiversion
    nolazytime nomand noowner norelatime nostrictatime nosuid nosymfollow nouser nousers owner
    relatime rw silent strictatime suid symfollow user users _netdev
";

/// Beginnings of words.
const BEGINNINGS: &[&str] = &["x-", "X-", "comment=", "user=", "group=", "uhelper="];

/// Whether this word is accepted and means nothing. So is the nothing between two commas.
pub(super) fn is_foreign(word: &str) -> bool {
    word.is_empty()
        || WORDS.split_whitespace().any(|known| known == word)
        || BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::TABLE;

    #[test]
    fn no_option_of_ours_is_foreign() {
        assert!(!TABLE.iter().any(|row| is_foreign(row.name)));
        assert!(
            is_foreign("_netdev") && is_foreign("x-systemd.automount") && !is_foreign("remount")
        );
    }
}
