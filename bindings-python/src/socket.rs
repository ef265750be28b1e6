//! The pair of sockets with which other threads wake a loop.

use std::io;

#[cfg(unix)]
pub(crate) use std::os::unix::net::UnixStream as Socket;

#[cfg(not(unix))]
pub(crate) use std::net::TcpStream as Socket;

/// Makes a pair of connected sockets that never block.
pub(crate) fn socket_pair() -> io::Result<(Socket, Socket)> {
    let (one, other) = pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((one, other))
}

#[cfg(unix)]
fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

/// By a listener on the loopback interface, which takes no other connection.
#[cfg(not(unix))]
fn pair() -> io::Result<(Socket, Socket)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let one = Socket::connect(listener.local_addr()?)?;
    let (other, peer) = listener.accept()?;
    if peer != one.local_addr()? {
        return Err(io::Error::other("another program connected to a socket of this process"));
    }
    one.set_nodelay(true)?;
    other.set_nodelay(true)?;
    Ok((one, other))
}

/// The number by which Python knows a socket.
#[cfg(unix)]
pub(crate) fn socket_number(socket: &Socket) -> i64 {
    std::os::fd::AsRawFd::as_raw_fd(socket).into()
}

/// The number by which Python knows a socket.
#[cfg(windows)]
#[expect(clippy::cast_possible_wrap, reason = "a socket's handle is small")]
pub(crate) fn socket_number(socket: &Socket) -> i64 {
    std::os::windows::io::AsRawSocket::as_raw_socket(socket) as i64
}
