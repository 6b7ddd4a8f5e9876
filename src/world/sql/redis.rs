//! Redis and Valkey sessions, in RESP2.
//!
//! Written by hand: four kinds of reply and one kind of request, with limits on what is read and a
//! socket that closes when the session is dropped. A client library brings pools, retries and
//! reconnection, each of which would hide that a session was ended.

use std::cell::RefCell;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::{ANSWER, Line, Rows, SqlSession, tls, too_long};
use crate::model::secret::Secret;
use crate::world::{Later, NetError};

/// Longest line of a reply: an error, a number or a length.
const LINE: u64 = 64 << 10;
/// Deepest array in an array.
const DEEP: usize = 8;

trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

type Client = BufReader<Box<dyn Wire>>;

#[allow(clippy::disallowed_methods, reason = "the real half of a port")]
pub(super) async fn connect(address: &Address) -> Result<Box<dyn SqlSession>, NetError> {
    let no = |e: std::io::Error| NetError::Connect(e.to_string());
    let named_off = address.scheme == "redis" && !address.encrypted;
    if !named_off && address.scheme != "rediss" {
        return Err(NetError::Setup(
            "redis:// would send the password in the clear: write rediss://, or add sslmode=disable"
                .to_owned(),
        ));
    }
    let port = address.port.unwrap_or(6379);
    let plain = tokio::net::TcpStream::connect((address.host.as_str(), port))
        .await
        .map_err(no)?;
    let wire: Box<dyn Wire> = if address.scheme == "rediss" {
        let name = ServerName::try_from(address.host.clone());
        let name =
            name.map_err(|_| NetError::Setup("this host name cannot be in a certificate".to_owned()))?;
        let client = TlsConnector::from(tls::client(address.authority.as_deref())?);
        Box::new(client.connect(name, plain).await.map_err(no)?)
    } else {
        Box::new(plain)
    };
    let mut client = BufReader::new(wire);
    match (&address.user, &address.password) {
        (_, None) => {
            // Any other answer than that a login is missing is that of an open session.
            if let Err(NetError::Refused(text)) = ask(&mut client, &["PING"]).await
                && ["NOAUTH", "DENIED", "ERR max"]
                    .iter()
                    .any(|w| text.starts_with(w))
            {
                return Err(NetError::Refused(text));
            }
        }
        (Some(user), Some(password)) => drop(ask(&mut client, &["AUTH", user, password]).await?),
        (None, Some(password)) => drop(ask(&mut client, &["AUTH", password]).await?),
    }
    Ok(Box::new(Session(RefCell::new(Line::Open(client)))))
}

struct Session(RefCell<Line<Client>>);

impl SqlSession for Session {
    fn query<'a>(&'a self, command: &'a str) -> Later<'a, Result<Rows, NetError>> {
        Box::pin(async move {
            let words = words(command)?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut client = self.0.borrow_mut().take()?;
            let outcome = ask(&mut client, &words).await;
            *self.0.borrow_mut() = Line::after(client, &outcome);
            outcome
        })
    }
}

/// Splits a command as [`SqlSession::query`] says.
fn words(command: &str) -> Result<Vec<String>, NetError> {
    let mut words: Vec<String> = Vec::new();
    let (mut inside, mut fresh) = (false, true);
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() && !inside {
            fresh = true;
            continue;
        }
        if std::mem::take(&mut fresh) {
            words.push(String::new());
        }
        let kept = match c {
            '"' => {
                inside = !inside;
                continue;
            }
            '\\' if inside => chars.next(),
            c => Some(c),
        };
        if let Some(word) = words.last_mut() {
            word.extend(kept);
        }
    }
    match inside {
        true => Err(NetError::Refused("a quote is not closed".to_owned())),
        false => Ok(words),
    }
}

/// One command and its reply; an error reply is [`NetError::Refused`].
async fn ask(client: &mut Client, words: &[&str]) -> Result<Rows, NetError> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    // One of the words may be the password.
    let request = Secret::new(request);
    client
        .write_all(request.expose().as_bytes())
        .await
        .map_err(lost)?;
    client.flush().await.map_err(lost)?;
    reply(client).await
}

/// Reads one reply: an element of the outer array is a row, whatever is inside of it its cells.
async fn reply(client: &mut Client) -> Result<Rows, NetError> {
    let mut rows = Rows::new();
    // How many elements of each open array are still to come, outermost first.
    let mut open: Vec<usize> = Vec::new();
    let mut budget = ANSWER;
    loop {
        let line = line(client).await?;
        spend(&mut budget, line.len() + 8)?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(broken)?;
        let cell = match kind {
            "+" | ":" => Some(rest.to_owned()),
            "-" if open.is_empty() => return Err(NetError::Refused(rest.to_owned())),
            "-" => Some(rest.to_owned()),
            "$" => match length(rest)? {
                None => None,
                Some(n) => {
                    spend(&mut budget, n)?;
                    let mut bytes = vec![0; n + 2];
                    client.read_exact(&mut bytes).await.map_err(lost)?;
                    Some(String::from_utf8_lossy(bytes.get(..n).unwrap_or_default()).into_owned())
                }
            },
            "*" => {
                let n = length(rest)?.unwrap_or(0);
                if open.len() == DEEP {
                    return Err(broken());
                }
                if open.len() == 1 {
                    rows.push(Vec::new());
                }
                open.push(n);
                if n > 0 {
                    continue;
                }
                open.pop();
                if step(&mut open) {
                    return Ok(rows);
                }
                continue;
            }
            _ => return Err(broken()),
        };
        match (open.len(), rows.last_mut()) {
            (2.., Some(row)) => row.push(cell),
            _ => rows.push(vec![cell]),
        }
        if step(&mut open) {
            return Ok(rows);
        }
    }
}

/// Counts one element off, and every array that is full with it; true where the reply is whole.
fn step(open: &mut Vec<usize>) -> bool {
    while let Some(left) = open.last_mut() {
        *left -= 1;
        if *left > 0 {
            return false;
        }
        open.pop();
    }
    true
}

fn spend(budget: &mut usize, bytes: usize) -> Result<(), NetError> {
    *budget = budget.checked_sub(bytes).ok_or_else(too_long)?;
    Ok(())
}

async fn line(client: &mut Client) -> Result<String, NetError> {
    let mut bytes = Vec::new();
    let read = (&mut *client).take(LINE).read_until(b'\n', &mut bytes).await;
    if read.map_err(lost)? == 0 {
        return Err(NetError::Lost("the server closed the connection".to_owned()));
    }
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None if bytes.ends_with(b"\n") || bytes.len() as u64 == LINE => Err(broken()),
        None => Err(NetError::Lost("the server closed the connection".to_owned())),
    }
}

/// A length; `None` for the reply that there is nothing (`-1`).
fn length(text: &str) -> Result<Option<usize>, NetError> {
    match text {
        "-1" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| broken()),
    }
}

/// Something that is no Redis answered. What would come next is not known.
fn broken() -> NetError {
    NetError::Setup("the server does not speak the protocol of Redis".to_owned())
}

fn lost(error: std::io::Error) -> NetError {
    NetError::Lost(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Rows, NetError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wire: Box<dyn Wire> = Box::new(std::io::Cursor::new(bytes.to_vec()));
        runtime.block_on(reply(&mut BufReader::new(wire)))
    }

    fn cells(row: &[&str]) -> Vec<Option<String>> {
        row.iter().map(|c| Some((*c).to_owned())).collect()
    }

    #[test]
    fn an_element_is_a_row_and_what_is_inside_its_cells() {
        assert_eq!(read(b"+PONG\r\n"), Ok(vec![cells(&["PONG"])]));
        assert_eq!(read(b"$-1\r\n"), Ok(vec![vec![None]]));
        assert_eq!(read(b"*0\r\n"), Ok(vec![]));
        assert_eq!(read(b"*-1\r\n"), Ok(vec![]));
        assert_eq!(
            read(b"*2\r\n$5\r\nflags\r\n*2\r\n:1\r\n*2\r\n+a\r\n+b\r\n"),
            Ok(vec![cells(&["flags"]), cells(&["1", "a", "b"])])
        );
        assert_eq!(
            read(b"*3\r\n*0\r\n+a\r\n*0\r\n"),
            Ok(vec![vec![], cells(&["a"]), vec![]])
        );
        assert_eq!(
            read(b"-NOPERM no\r\n"),
            Err(NetError::Refused("NOPERM no".into()))
        );
    }

    #[test]
    fn no_reply_makes_us_reserve_memory_or_read_for_ever() {
        for bad in [
            &b"$99999999999\r\n"[..],
            b"*5\r\n*5\r\n*5\r\n*5\r\n*5\r\n*5\r\n*5\r\n*5\r\n*5\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"$x\r\n",
            b"\r\n",
            &[b'+'; 70_000],
        ] {
            assert!(matches!(read(bad), Err(NetError::Setup(_))), "{:?}", bad.get(..9));
        }
        for short in [&b""[..], b"+PON", b"*2\r\n+a\r\n", b"$5\r\nab"] {
            assert!(matches!(read(short), Err(NetError::Lost(_))), "{short:?}");
        }
    }

    #[test]
    fn words_are_split_at_blanks_outside_of_quotes() {
        assert_eq!(
            words(r#"ACL  SETUSER "a \"b\\ c" off"#),
            Ok(["ACL", "SETUSER", "a \"b\\ c", "off"].map(str::to_owned).to_vec())
        );
        assert_eq!(words(r#"GET """#), Ok(vec!["GET".to_owned(), String::new()]));
        assert!(words("GET \"a").is_err());
    }
}
