//! What takes long and waits for nobody: plans, the safety checker's judgement, signatures that are verified. The few threads
//! that wait for others must not be held up by it: on them `status` is answered.

/// Does it on a thread of its own. Locks are for whoever waits for it. Where nobody waits for it any more it goes on to its
/// end, and nothing comes of it: so it decides, and changes nothing.
///
/// # Errors
/// When it panicked, in words.
pub(super) async fn reckon<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let reckoned = tokio::task::spawn_blocking(work).await;
    reckoned.map_err(|error| format!("a fault of this program, of which its log says more: {error}"))
}
