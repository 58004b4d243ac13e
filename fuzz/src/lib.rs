//! What all fuzz targets share.

use std::panic;

/// Places a hook of our own in the place of libfuzzer's, which ends the process at every panic: the
/// reader of workbooks panics on damaged ones and is caught by whoever calls it. A panic that
/// leaves a check still ends the process.
pub fn begin() {
    panic::set_hook(Box::new(|panic| {
        let ours = panic
            .location()
            .is_none_or(|place| !place.file().contains("/calamine-"));
        if ours {
            eprintln!("{panic}");
        }
    }));
}
