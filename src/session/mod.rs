//! The session: listeners held for as long as it lives, forwards, the control socket.
