//! Whether a listener ever refused.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connects again and again and counts the refusals.
pub(crate) struct Knocker {
    stop: Arc<AtomicBool>,
    refused: std::thread::JoinHandle<(usize, usize)>,
}

impl Knocker {
    pub(crate) fn at(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let refused = std::thread::spawn(move || {
            let mut refused = 0;
            let mut knocks = 0;
            while !stopped.load(Ordering::SeqCst) {
                let knock = TcpStream::connect(("127.0.0.1", port));
                refused +=
                    usize::from(knock.is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused));
                knocks += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            (refused, knocks)
        });
        Self { stop, refused }
    }

    /// Ends the test if a knock was refused, or if there were too few to tell.
    pub(crate) fn was_never_refused(self) {
        self.stop.store(true, Ordering::SeqCst);
        let (refused, knocks) = self.refused.join().unwrap();
        assert!(
            refused == 0 && knocks > 5,
            "{refused} of {knocks} connections were refused"
        );
    }
}
