//! How a takeover puts the volume's files in place: shown on a terminal, and in the way that the
//! layout wants.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::layout::Layout;
use crate::primary::{Means, Settle, Tell};
use crate::replica::Handover;
use crate::store::Store;
use crate::volume::VolumeId;

/// How a takeover of this volume goes.
pub(super) fn means(
    layout: &dyn Layout,
    store: Store,
    volume: VolumeId,
    directory: &Arc<OwnedFd>,
) -> io::Result<Means> {
    let settle = if layout.is_delivered() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(super::role::REPLICA_THREADS)
            .thread_name("walfs-takeover")
            .enable_all()
            .build()?;
        let directory = Arc::clone(directory);
        Some(apart(Handover { store, volume, directory, runtime }))
    } else {
        None
    };
    Ok(Means { tell: telling(), settle })
}

/// On a thread of its own: whoever asks is on a runtime, and this one waits for another.
fn apart(handover: Handover) -> Settle {
    Box::new(move |manifest| {
        std::thread::scope(|scope| scope.spawn(|| handover.run(manifest)).join())
            .unwrap_or_else(|_| Err(io::Error::other("a bug stopped it: please report it")))
    })
}

/// Shows on a terminal how far a takeover is.
fn telling() -> Tell {
    let template = "fetching the volume's files {bar:30} {bytes}/{total_bytes} {eta}";
    let style = ProgressStyle::with_template(template);
    let bar =
        ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    Box::new(move |progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes);
        if progress.files == progress.files_total {
            bar.finish_and_clear();
        }
    })
}
