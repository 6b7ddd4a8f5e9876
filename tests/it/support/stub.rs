//! A loopback HTTP server that answers by a script and remembers every request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What the server does with a request.
pub enum Reply {
    /// Status, headers, body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without a word.
    Hang(Duration),
    /// Closes at once without an answer.
    Reset,
    /// Sends the headers of a long body, then a byte now and then.
    Drip,
    /// Answers after a while.
    Slow(Duration, u16),
}

/// A bare answer.
pub fn say(status: u16, body: &str) -> Reply {
    Reply::Say(status, Vec::new(), body.to_owned())
}

/// The server. It ends with its last connection after it is dropped.
pub struct Stub {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    most: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Stub {
    /// Starts it; `script` is asked with the number of the request (from 0) and the request.
    pub fn start(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stub = Stub {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            most: Arc::default(),
            stop: Arc::default(),
        };
        let (seen, most, stop) = (
            Arc::clone(&stub.seen),
            Arc::clone(&stub.most),
            Arc::clone(&stub.stop),
        );
        let (script, now) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, most, now, script) = (
                    Arc::clone(&seen),
                    Arc::clone(&most),
                    Arc::clone(&now),
                    Arc::clone(&script),
                );
                std::thread::spawn(move || {
                    let _ = serve(
                        stream.unwrap(),
                        &seen,
                        &*script,
                        &Busy {
                            now: &now,
                            most: &most,
                        },
                    );
                });
            }
        });
        stub
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD path` of every request so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|s| format!("{} {}", s.method, s.path))
            .collect()
    }

    /// The largest number of requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Counts requests under way. One is over just before its answer is written: whoever reads the answer
/// may send the next request at once.
struct Busy<'c> {
    now: &'c AtomicUsize,
    most: &'c AtomicUsize,
}

impl Busy<'_> {
    fn while_waiting(&self, wait: Duration) {
        let busy = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(busy, Ordering::SeqCst);
        std::thread::sleep(wait);
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    script: &(dyn Fn(usize, &Seen) -> Reply + Send + Sync),
    busy: &Busy<'_>,
) -> std::io::Result<()> {
    let request = read(&mut BufReader::new(stream.try_clone()?))?;
    let number = {
        let mut all = seen.lock().unwrap();
        all.push(request.clone());
        all.len() - 1
    };
    match script(number, &request) {
        Reply::Say(status, headers, body) => answer(&mut stream, status, &headers, &body),
        Reply::Slow(wait, status) => {
            busy.while_waiting(wait);
            answer(&mut stream, status, &[], "")
        }
        Reply::Reset => Ok(()),
        Reply::Hang(wait) => {
            std::thread::sleep(wait);
            Ok(())
        }
        Reply::Drip => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &str,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    if status != 204 {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())
}

fn read(from: &mut impl BufRead) -> std::io::Result<Seen> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Seen {
        method,
        path,
        headers,
        body,
    })
}

/// A loopback HTTPS server. It says yes to everything and remembers what it was told.
pub struct Sealed {
    pub port: u16,
    knocks: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    ip: String,
    stop: Arc<AtomicBool>,
}

impl Sealed {
    /// Starts it at `ip` with this certificate and key. With an authority it lets in only who shows a
    /// certificate by it.
    pub fn start(ip: &str, cert: &Path, key: &Path, authority: Option<&Path>) -> Sealed {
        let all = |path: &Path| CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap);
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&ring));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match authority {
            None => config.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(all(path));
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), ring);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = Arc::new(config.with_single_cert(all(cert).collect(), key).unwrap());
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let sealed = Sealed {
            port: listener.local_addr().unwrap().port(),
            knocks: Arc::default(),
            heard: Arc::default(),
            ip: ip.to_owned(),
            stop: Arc::default(),
        };
        let (knocks, heard) = (Arc::clone(&sealed.knocks), Arc::clone(&sealed.heard));
        let stop = Arc::clone(&sealed.stop);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                knocks.fetch_add(1, Ordering::SeqCst);
                let (config, heard) = (Arc::clone(&config), Arc::clone(&heard));
                std::thread::spawn(move || {
                    let session = ServerConnection::new(config).unwrap();
                    let mut stream = StreamOwned::new(session, stream.unwrap());
                    // Whoever does not believe the certificate hangs up before a word is said.
                    if let Ok(request) = read(&mut BufReader::new(&mut stream))
                        && !request.method.is_empty()
                    {
                        let line = format!("{} {}", request.method, request.path);
                        heard.lock().unwrap().push(line);
                        let said = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                        let _ = stream.write_all(said);
                    }
                });
            }
        });
        sealed
    }

    /// How many connections were made.
    pub fn knocks(&self) -> usize {
        self.knocks.load(Ordering::SeqCst)
    }

    /// `METHOD path` of every request that came through.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((self.ip.as_str(), self.port));
    }
}
