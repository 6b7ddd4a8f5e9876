//! A machine in memory: files that are written and read back, and programs and servers that all say one thing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use incident::model::secret::Secret;
use incident::world::files::Stat;
use incident::world::http::{HttpRequest, HttpResponse};
use incident::world::spawn::{Child, Command, End, Ran};
use incident::world::sql::{Rows, SqlSession};
use incident::world::{Files, Http, Later, NetError, Spawn, Sql, World};

use super::answers::Leaping;
use crate::support::network_world;

/// What the machine holds, and what its programs and servers say next.
#[derive(Default)]
pub struct Machine {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub says: Vec<u8>,
    pub status: u16,
    /// The crontab of everybody.
    pub crontab: Vec<u8>,
    /// The programs that were started.
    pub started: Vec<Started>,
    /// The addresses that were asked.
    pub asked: Vec<String>,
}

/// What a program was started with: its words, and its environment.
pub type Started = (Vec<String>, Vec<(String, String)>);

/// The ports of a machine.
#[derive(Clone, Default)]
pub struct Shared(pub Rc<RefCell<Machine>>);

impl Shared {
    pub fn world(&self) -> World {
        World {
            clock: Box::new(Leaping::new()),
            files: Box::new(self.clone()),
            spawn: Box::new(self.clone()),
            http: Box::new(self.clone()),
            sql: Box::new(self.clone()),
            ..network_world()
        }
    }

    /// Puts the same bytes into each of these files.
    pub fn fill(&self, paths: impl IntoIterator<Item = impl Into<PathBuf>>, bytes: &[u8]) {
        let mut machine = self.0.borrow_mut();
        let all = paths.into_iter().map(|path| (path.into(), bytes.to_vec()));
        machine.files.extend(all);
    }
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for Shared {
    fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        let bytes = self.0.borrow().files.get(path).cloned().ok_or_else(absent)?;
        match bytes.len() as u64 > cap {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(bytes),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        Ok(Box::new(io::Cursor::new(self.read(path, u64::MAX)?)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let machine = self.0.borrow();
        let below = machine
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(path).ok());
        let mut names: Vec<PathBuf> = below
            .filter_map(|rest| Some(PathBuf::from(rest.components().next()?.as_os_str())))
            .collect();
        names.dedup();
        match names.is_empty() {
            true => Err(absent()),
            false => Ok(names),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let machine = self.0.borrow();
        let file = machine.files.get(path);
        let is_dir = file.is_none() && machine.files.keys().any(|file| file.starts_with(path));
        match file.is_some() || is_dir {
            false => Err(absent()),
            true => Ok(Stat {
                len: file.map_or(0, |bytes| bytes.len() as u64),
                mode: 0o755,
                uid: 1000,
                gid: 1000,
                mtime_ms: 0,
                ctime_ms: 0,
                is_dir,
                is_file: !is_dir,
                is_link: false,
            }),
        }
    }

    fn replace(&self, path: &Path, bytes: &[u8], _: u32) -> io::Result<()> {
        self.fill([path], bytes);
        Ok(())
    }

    fn create(&self, path: &Path, _: u32) -> io::Result<()> {
        match self.stat(path) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => self.replace(path, b"", 0o600),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let gone = self.0.borrow_mut().files.remove(path);
        gone.map(|_| ()).ok_or_else(absent)
    }
}

impl Spawn for Shared {
    fn run<'a>(
        &'a self,
        command: Command,
        out: &'a mut dyn io::Write,
        _: &'a mut dyn io::Write,
        started: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        started(Child { pid: 2, starttime: 1 });
        let mut machine = self.0.borrow_mut();
        let env = command
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()));
        machine.started.push((command.argv.clone(), env.collect()));
        let is = |word: &str| command.argv.iter().any(|a| a == word);
        let said = match (is("crontab"), command.stdin) {
            (true, Some(text)) => {
                machine.crontab = text.expose().as_bytes().to_vec();
                Vec::new()
            }
            (true, None) => machine.crontab.clone(),
            _ => machine.says.clone(),
        };
        let kept = said.len().min(command.cap as usize);
        out.write_all(&said[..kept]).unwrap();
        let ran = Ran {
            end: End::Exit(0),
            ms: 1,
            out_bytes: said.len() as u64,
            err_bytes: 0,
            truncated: kept < said.len(),
            escapees: 0,
            left: 0,
        };
        Box::pin(async move { ran })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        Some(Path::new("/usr/bin").join(program))
    }
}

impl Http for Shared {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        let mut machine = self.0.borrow_mut();
        machine.asked.push(request.url.clone());
        // A second part ends a list: a hundred of them would only take time.
        let more = request.url.contains("arker=");
        let answer = HttpResponse {
            status: machine.status,
            headers: Vec::new(),
            body: if more { Vec::new() } else { machine.says.clone() },
        };
        Box::pin(async move { Ok(answer) })
    }
}

impl Sql for Shared {
    fn open<'a>(&'a self, _: &'a Secret, _: Duration) -> Later<'a, Result<Box<dyn SqlSession>, NetError>> {
        let session = Box::new(self.clone()) as Box<dyn SqlSession>;
        Box::pin(async move { Ok(session) })
    }
}

/// A row a line, cells between tabs, `\N` where there is none.
impl SqlSession for Shared {
    fn query<'a>(&'a self, _: &'a str) -> Later<'a, Result<Rows, NetError>> {
        let text = String::from_utf8_lossy(&self.0.borrow().says).into_owned();
        let cell = |cell: &str| (cell != "\\N").then(|| cell.to_owned());
        let rows = text.lines().map(|line| line.split('\t').map(cell).collect());
        let rows: Rows = rows.collect();
        Box::pin(async move { Ok(rows) })
    }
}
