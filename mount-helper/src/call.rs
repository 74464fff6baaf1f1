//! How mount(8) and umount(8) call their helpers, as words for walfs.
//!
//! ```text
//! mount.walfs SPEC DIR [-sfnv] [-N namespace] [-o options] [-t type]
//! umount.fuse.walfs DIR [-flnrv] [-N namespace] [-t type]
//! ```

use std::ffi::{OsStr, OsString};

/// Options that mount(8) writes for itself or for its own table, with a value or without.
const INTERNAL: [&str; 4] = ["uhelper", "helper", "loop", "offset"];

/// What to run walfs with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// The verb and its words.
    pub(crate) words: Vec<OsString>,
    /// Say what is run.
    pub(crate) verbose: bool,
    /// Do everything but that.
    pub(crate) fake: bool,
}

/// Words as they come in.
#[derive(Debug, Default)]
struct Given {
    places: Vec<OsString>,
    flags: String,
    options: Vec<String>,
}

impl Call {
    /// What the program of this name was called with.
    pub(crate) fn parse(
        name: &OsStr,
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, String> {
        let given = Given::parse(words)?;
        let (verbose, flagged) = (given.flags.contains('v'), |flag| given.flags.contains(flag));
        if name.to_string_lossy().starts_with("umount") {
            let [dir] = given.places.as_slice() else {
                return Err("name one directory to unmount".to_owned());
            };
            if flagged('r') {
                return Err("a walfs mount cannot be made read-only: unmount it".to_owned());
            }
            let lazy = flagged('l').then_some("--lazy");
            let words = ["umount"].into_iter().chain(lazy).chain(["--"]).map(OsString::from);
            let words = words.chain([dir.clone()]).collect();
            return Ok(Self { words, verbose, fake: false });
        }
        let [url, dir] = given.places.as_slice() else {
            return Err("name a URL and a directory to mount it over".to_owned());
        };
        if given.options.iter().any(|option| option == "remount") {
            return Err("a walfs mount cannot be remounted: unmount it, and mount it again".into());
        }
        let mut words: Vec<OsString> = vec!["mount".into()];
        if !given.options.is_empty() {
            words.extend(["-o".into(), given.options.join(",").into()]);
        }
        words.extend(["--".into(), url.clone(), dir.clone()]);
        Ok(Self { words, verbose, fake: flagged('f') })
    }
}

impl Given {
    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut given = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy().into_owned();
            let Some(flags) = text.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
                given.places.push(word);
                continue;
            };
            for (at, flag) in flags.char_indices() {
                if "sfnvlr".contains(flag) {
                    given.flags.push(flag);
                    continue;
                }
                // The rest of the word is the value, or the next word is.
                let rest = flags.get(at + flag.len_utf8()..).unwrap_or_default();
                let value = if rest.is_empty() { words.next() } else { Some(rest.into()) };
                let value = value.ok_or_else(|| format!("-{flag} needs a value"))?;
                given.flag_with_value(flag, &value.to_string_lossy())?;
                break;
            }
        }
        Ok(given)
    }

    fn flag_with_value(&mut self, flag: char, value: &str) -> Result<(), String> {
        match flag {
            'o' => {
                let known = |option: &&str| {
                    let name = option.split('=').next().unwrap_or_default();
                    !option.is_empty() && !INTERNAL.contains(&name)
                };
                self.options.extend(value.split(',').filter(known).map(str::to_owned));
                Ok(())
            }
            't' => Ok(()),
            'N' => Err("other mount namespaces are entered with nsenter, not with -N".to_owned()),
            flag => Err(format!("-{flag} is unknown")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(words: &str) -> Result<String, String> {
        let mut words = words.split(' ').map(OsString::from);
        let name = words.next().unwrap_or_default();
        let call = Call::parse(&name, words)?;
        let words = call.words.into_iter().map(|word| word.to_string_lossy().into_owned());
        Ok(words.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_line_of_fstab_becomes_walfs_mount() {
        assert_eq!(
            call("mount.walfs s3://b/pg /pg -n -o rw,primary,_netdev,interval=0 -t walfs"),
            Ok("mount -o rw,primary,_netdev,interval=0 -- s3://b/pg /pg".to_owned())
        );
        assert_eq!(call("mount.walfs file:///s /pg"), Ok("mount -- file:///s /pg".to_owned()));
        assert_eq!(
            call("mount.walfs file:///s /pg -vo ro,uhelper=x"),
            Ok("mount -o ro -- file:///s /pg".to_owned())
        );
    }

    #[test]
    fn umount_becomes_walfs_umount() {
        assert_eq!(call("umount.fuse.walfs /pg -t fuse.walfs"), Ok("umount -- /pg".to_owned()));
        assert_eq!(call("umount.walfs /pg -l"), Ok("umount --lazy -- /pg".to_owned()));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for words in [
            "mount.walfs /pg",
            "mount.walfs a b c",
            "mount.walfs a b -o remount,ro",
            "mount.walfs a b -N 12",
            "mount.walfs a b -o",
            "mount.walfs a b -x y",
            "umount.walfs",
            "umount.walfs /pg -r",
        ] {
            assert!(call(words).is_err(), "{words}");
        }
    }

    #[test]
    fn a_rehearsal_is_verbose_or_silent_and_does_nothing() {
        let words = ["a", "b", "-fv"].map(OsString::from);
        let call = Call::parse(OsStr::new("mount.walfs"), words).unwrap();
        assert!(call.fake && call.verbose);
    }
}
