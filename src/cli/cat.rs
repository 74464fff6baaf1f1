//! `walfs cat`: the bytes of a file, straight from the store, each one checked.

use std::io::{self, Write};

use clap::Args;

use crate::store::contents::{ReadError, read_file};
use crate::volume::manifest::Node;

use super::failure::{Exit, Failure};
use super::ls::{no_path, parse_path};
use super::reach::{Reached, Which};

/// Print a file of a volume
///
/// Every byte is checked against its checksum; what was never written is printed as zeros.
#[derive(Debug, Args)]
pub struct Cat {
    #[command(flatten)]
    which: Which,
    /// The file's path inside the volume
    path: String,
}

impl Cat {
    /// Prints.
    pub fn run(self) -> Result<(), Failure> {
        let path = parse_path(&self.path)?
            .ok_or_else(|| Failure::new(Exit::Usage, "name a file, not the volume's root"))?;
        self.which.reach(async |reached: Reached| {
            let manifest = reached.manifest().await?;
            let file = match manifest.node(&path) {
                Some(Node::File(file)) => file,
                Some(Node::Directory) => {
                    return Err(Failure::error(format!("{path}: is a directory; see walfs ls")));
                }
                None => return Err(no_path(&path)),
            };
            let mut at = 0;
            let mut put = |offset: u64, bytes: &[u8]| {
                let mut output = io::stdout().lock();
                zeros(&mut output, offset.saturating_sub(at))?;
                at = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
                output.write_all(bytes)
            };
            match read_file(&reached.chain, &manifest, file, &mut put).await {
                Ok(()) => {}
                Err(ReadError::Store(error)) => return Err(error.into()),
                Err(ReadError::Put(error)) => return Err(Failure::output(&error)),
            }
            let mut output = io::stdout().lock();
            zeros(&mut output, file.size.saturating_sub(at))
                .and_then(|()| output.flush())
                .map_err(|error| Failure::output(&error))
        })
    }
}

fn zeros(output: &mut impl Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), count), output).map(drop)
}
