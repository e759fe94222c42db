//! Clients of the bench server: a connection asks for N bytes, gets them, and sees the server close. And one of the
//! demo's HTTP servers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::figures::median;

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for `bytes` on a connection of its own; the time from connecting to the server's close.
pub(super) fn fetch(to: SocketAddr, bytes: usize) -> Result<Duration> {
    let since = Instant::now();
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)
        .with_context(|| format!("cannot connect to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{bytes}\n").as_bytes())?;
    let mut buffer = vec![0; 1 << 20];
    let mut got = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => got += count,
        }
    }
    ensure!(got == bytes, "{got} of {bytes} bytes arrived from {to}");
    Ok(since.elapsed())
}

/// What an HTTP server answers to a GET, whatever its status.
pub(super) fn body(port: u16, path: &str) -> Result<String> {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)
        .with_context(|| format!("cannot connect to {to}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {to}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("{to} answered {answer:?}"))?;
    Ok(body.to_owned())
}

/// Megabytes a second over one connection: the best of three, since anything else that runs only takes away.
pub(super) fn throughput(to: SocketAddr, bytes: usize) -> Result<f64> {
    let mut best = 0_f64;
    for _ in 0..3 {
        best = best.max(bytes as f64 / 1e6 / fetch(to, bytes)?.as_secs_f64());
    }
    Ok(best)
}

/// Milliseconds of one small request on a fresh connection, the median of `count`: until the answer is
/// there, whatever the closing takes.
pub(super) fn small_request(to: SocketAddr, count: usize) -> Result<f64> {
    let mut times = vec![];
    for _ in 0..count {
        let since = Instant::now();
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"64\n")?;
        stream.read_exact(&mut [0; 64])?;
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&times))
}

/// `count` connections at once, each for `bytes`: how many failed, and how long all of it took.
pub(super) fn at_once(to: SocketAddr, count: usize, bytes: usize) -> (usize, Duration) {
    let since = Instant::now();
    let clients: Vec<_> = (0..count)
        .map(|_| std::thread::spawn(move || fetch(to, bytes)))
        .collect();
    let failed = clients
        .into_iter()
        .map(|client| client.join())
        .filter(|r| !matches!(r, Ok(Ok(_))));
    (failed.count(), since.elapsed())
}
