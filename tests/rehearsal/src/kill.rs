//! Killing the process at the other end of a connection, as a machine that fails does.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Kills the process on this machine that is connected from `peer` to `server`, with all it was about
/// to do. Linux only: it is found by its socket in `/proc`.
///
/// # Errors
/// If there is no such process.
pub fn client(peer: SocketAddr, server: SocketAddr) -> Result<()> {
    let inode = inode(peer, server)?;
    let pid = owner(&inode).with_context(|| format!("nobody holds the socket of {peer}"))?;
    ensure!(pid != std::process::id().to_string(), "that would be this process");
    let status = Command::new("kill").args(["-KILL", &pid]).status()?;
    ensure!(status.success(), "cannot kill {pid}");
    Ok(())
}

/// The inode of the socket at one end of a connection. A port alone does not tell: the kernel gives
/// the same one to connections to different servers.
fn inode(from: SocketAddr, to: SocketAddr) -> Result<String> {
    let (local, remote) = (listed(from)?, listed(to)?);
    let table = std::fs::read_to_string("/proc/net/tcp").context("no socket table")?;
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut row =
        row.filter(|row| row.get(1) == Some(&local.as_str()) && row.get(2) == Some(&remote.as_str()));
    let row = row.next().with_context(|| format!("nobody is connected from {from} to {to}"))?;
    row.get(9).map(|inode| (*inode).to_owned()).context("a socket without inode")
}

/// An address as the kernel lists it, in the order of the bytes in memory.
fn listed(address: SocketAddr) -> Result<String> {
    let SocketAddr::V4(address) = address else { anyhow::bail!("{address} is no IPv4 address") };
    Ok(format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()))
}

/// The process that holds a socket.
fn owner(inode: &str) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    let holds = |process: &Path| {
        let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .any(|link| link.as_os_str() == socket.as_str())
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        .find(|pid| holds(&Path::new("/proc").join(pid)))
}
