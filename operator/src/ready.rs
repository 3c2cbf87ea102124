//! Asks another operator whether it has seen its cluster: what `helm test` runs, in an image without a shell.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::Duration;

/// One question takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked, and the pause in between: a fresh pod's way to others may need a moment.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks `GET /readyz` of an admin port, a few times; tells the last answer. True when it is ready.
///
/// # Errors
/// Nobody answers there.
pub fn ready(address: &str, mut out: impl Write) -> io::Result<bool> {
    let mut last = ask(address);
    for _ in 1..ATTEMPTS {
        if matches!(last, Ok(Answer { ready: true, .. })) {
            break;
        }
        sleep(PAUSE);
        last = ask(address);
    }
    let Answer { ready, text } = last?;
    writeln!(out, "{address}: {}", text.trim())?;
    Ok(ready)
}

struct Answer {
    ready: bool,
    text: String,
}

fn ask(address: &str) -> io::Result<Answer> {
    let place = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&place, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: who answers before the last one would close the connection in our face.
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(Answer { ready: head.starts_with("HTTP/1.1 200 "), text: if body.is_empty() { head } else { body }.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::ask;

    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut head = [0; 512];
            let read = stream.read(&mut head).expect("a request");
            assert!(head[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("a client that reads");
        });
        address
    }

    #[test]
    fn only_200_is_ready() {
        let ready = ask(&answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n")).expect("an answer");
        assert!(ready.ready && ready.text == "ready\n");
        let not = ask(&answering("HTTP/1.1 503 Service Unavailable\r\n\r\nnot yet\n")).expect("an answer");
        assert!(!not.ready && not.text == "not yet\n");
        assert!(!ask(&answering("")).expect("an end").ready);
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert!(ask(&closed.to_string()).is_err());
    }
}
