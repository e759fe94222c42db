//! Returns freed memory to the system. A session runs all day, and most of the memory of an `up` is needed for seconds
//! only; glibc would keep the freed memory for later.

/// For the session's own process: one arena for all threads, so that what one has freed is there for the others
/// (mallopt(3), `M_ARENA_MAX`).
pub(super) const ENVIRONMENT: (&str, &str) = ("MALLOC_ARENA_MAX", "1");

/// Gives freed memory back: a millisecond for ten megabytes in use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(super) fn give_back() {
    // SAFETY: malloc_trim(3) takes no pointer, is safe in any thread, and touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other systems' allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}
