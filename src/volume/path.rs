//! A path inside the volume, valid by construction. Does not touch a disk.

use std::fmt;
use std::sync::Arc;

/// A path relative to the volume's root: UTF-8, components separated by `/`, none of them empty,
/// `.` or `..`, no NUL, at most [`RelPath::MAX`] bytes. The root itself has no `RelPath`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<str>);

impl RelPath {
    /// Linux's `PATH_MAX`.
    pub const MAX: usize = 4096;

    /// The path, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let good = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        (text.len() <= Self::MAX && text.split('/').all(good)).then(|| Self(text.into()))
    }

    /// The path of `name` in this directory.
    pub fn join(&self, name: &str) -> Option<Self> {
        Self::new(&format!("{}/{name}", self.0))
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for RelPath {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

impl std::borrow::Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
