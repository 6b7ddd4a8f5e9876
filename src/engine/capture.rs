//! Looking, and keeping what was seen: captures, attachments, the baseline, the after-state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use super::keep::{Keeper, Keeping, Kept, SEALED};
use super::{Engine, EngineError};
use crate::collectors::{self, Ctx, Item, Limits, Scene, Sink, Taken};
use crate::model::act::{Act, CaptureSpec, Given, Stage};
use crate::model::event::{
    BaselineSealed, CaptureEnded, CaptureItem, CaptureStarted, Event, ExhibitFiled, FileAttached, ItemStatus,
};
use crate::model::ids::StepId;
use crate::model::incident::{ITEMS_LIST, RECEIPTS_LIST};
use crate::model::secret::SecretRef;
use crate::redact::Receipt;
use crate::store::{Case, Staging, Stored};

/// One capture that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Number of its `capture.started`.
    pub capture: u64,
    /// Folder below `data/`.
    pub exhibit: String,
    /// Each thing looked at, with what became of it.
    pub items: Vec<CaptureItem>,
}

/// Bytes of items in one record; a line of the journal is at most 64 KiB.
const LINE_ROOM: usize = 48 << 10;

impl Engine<'_> {
    /// Takes the look that a step of the runbook names.
    pub fn capture_step(&self, id: &StepId, purpose: &str) -> Result<Captured, EngineError> {
        let act = match self.resolve(id) {
            Ok(act) => act,
            // What is missing today is a hole like any other, and holds nobody up.
            Err(EngineError::Unresolved { why, .. }) => return self.hole(id, purpose, why),
            Err(e) => return Err(e),
        };
        let Act::Capture(spec) = &act.act else {
            let why = "it is no look".into();
            return Err(EngineError::WrongKind {
                step: id.clone(),
                why,
            });
        };
        if !act.only_reads() {
            let verdict = Box::new(self.judged(&act, None)?);
            return Err(EngineError::Blocked {
                step: id.clone(),
                undoes: act.undoes,
                verdict,
            });
        }
        self.capture(spec, Some(id), purpose)
    }

    /// Takes a look: recorded, streamed through the redactor into an exhibit, recorded.
    pub fn capture(
        &self,
        spec: &CaptureSpec,
        step: Option<&StepId>,
        purpose: &str,
    ) -> Result<Captured, EngineError> {
        self.allowed_to_change(spec)?;
        let handed = self.handed(spec)?;
        let scene = Scene::of(self.world, &self.base);
        self.file_look(spec, step, purpose, |sink| {
            let ctx = Ctx {
                world: self.world,
                limits: Limits::QUICK,
                sink,
                env: &|| match spec {
                    // Programs of a cloud look into the account that the responder's own settings name.
                    CaptureSpec::Collector { .. } => super::mirror::responders_env(self.world),
                    _ => self.plain_env(),
                },
                // A look changes nothing: what it started needs no settling after a crash.
                started: &|_| {},
                presses: self.world.interrupt.count(),
                began_us: self.world.clock.now().mono_us,
            };
            self.world
                .wait(collectors::run(ctx, &handed, &scene))
                .unwrap_or_default()
        })
    }

    /// Bytes free on the disk of the record, where one thing that is looked at may take more: it is kept beside its
    /// sealed original, where there is one.
    pub fn little_room(&self) -> Option<u64> {
        let free = crate::store::free_in(&self.case_path()?).ok()?;
        (free < 2 * Limits::QUICK.cap).then_some(free)
    }

    /// What a look would touch, item by item, without looking.
    pub fn capture_plan(&self, spec: &CaptureSpec) -> Result<Vec<Item>, EngineError> {
        let scene = Scene::of(self.world, &self.base);
        Ok(collectors::plan(&self.with_backups(spec), &scene)?)
    }

    /// Items that change something wait for the baseline, which they would change.
    fn allowed_to_change(&self, spec: &CaptureSpec) -> Result<(), EngineError> {
        match spec {
            CaptureSpec::Collector { changing, .. }
                if !changing.is_empty() && self.incident()?.baseline.is_none() =>
            {
                let words = "something of this look changes what is looked at, and the baseline is not sealed; \
                             take the look without it, or `incident seal` first";
                Err(EngineError::OutOfOrder(words.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The runbook's backups, where a look at backups names none.
    fn with_backups(&self, spec: &CaptureSpec) -> CaptureSpec {
        let mut spec = spec.clone();
        if let CaptureSpec::Collector { name, with, .. } = &mut spec
            && name == "backups"
            && with.is_empty()
            && !self.runbook.backups.is_empty()
        {
            let paths = self
                .runbook
                .backups
                .values()
                .map(|b| b.path.display().to_string());
            with.insert("paths".to_owned(), Given::Many(paths.collect()));
        }
        spec
    }

    /// The same with every secret read and held, so that the redactor knows it before anything is looked at.
    fn handed(&self, spec: &CaptureSpec) -> Result<CaptureSpec, EngineError> {
        let mut spec = self.with_backups(spec);
        let CaptureSpec::Collector { name, with, .. } = &mut spec else {
            return Ok(spec);
        };
        for (key, value) in with {
            match value {
                Given::Secret(from) => {
                    let read = self.world.wait(self.world.secrets.read(from));
                    // What cannot be read is told by the collector that needs it.
                    if let Some(Ok(secret)) = read {
                        let held = format!("capture/{name}/{key}");
                        self.world.secrets.hold(&held, secret);
                        *value = Given::Secret(SecretRef::Held(held));
                    }
                }
                Given::Text(text) if !self.redactor().redact(text.as_bytes()).1.is_empty() => {
                    let why = format!(
                        "`{key}` looks like a secret; say where it is read from, as env:NAME or file:PATH"
                    );
                    return Err(EngineError::OutOfOrder(why));
                }
                Given::Text(_) | Given::Many(_) => {}
            }
        }
        Ok(spec)
    }

    /// Records a look that could not be taken.
    fn hole(&self, id: &StepId, purpose: &str, why: String) -> Result<Captured, EngineError> {
        let Act::Capture(spec) = &self.step(id)?.act else {
            return Err(EngineError::Unresolved {
                step: id.clone(),
                why,
            });
        };
        let taken = Taken {
            name: short_name(spec).to_owned(),
            source: self.step(id)?.title.clone(),
            status: ItemStatus::Failed,
            why: Some(why),
            bytes: 0,
            ms: 0,
        };
        self.file_look(spec, Some(id), purpose, |_| vec![taken])
    }

    pub(super) fn file_look(
        &self,
        spec: &CaptureSpec,
        step: Option<&StepId>,
        purpose: &str,
        look: impl FnOnce(&dyn Sink) -> Vec<Taken>,
    ) -> Result<Captured, EngineError> {
        let case = self.case()?;
        self.take_custody()?;
        let started = self.world.clock.now();
        let name = match step {
            Some(step) => super::act::file_name(step.as_str()),
            None => super::act::file_name(short_name(spec)),
        };
        let capture = self.record(CaptureStarted {
            name: name.clone(),
            spec: spec.clone(),
            step: step.cloned(),
            purpose: purpose.to_owned(),
            mono_us: started.mono_us,
        })?;
        // What cannot be kept is a hole like any other: a look that was begun never ends in silence.
        let items = match self.look_and_keep(&case, capture, &name, look) {
            Ok(items) => items,
            Err(e) => vec![CaptureItem {
                name: name.clone(),
                source: short_name(spec).to_owned(),
                status: ItemStatus::Failed,
                why: Some(self.scrubbed(&format!("nothing of it could be kept: {e}"))),
                bytes: 0,
                sha256: String::new(),
                redactions: 0,
            }],
        };
        let exhibit = format!("{capture:04}-{name}");
        let ms = self.world.clock.now().mono_us.saturating_sub(started.mono_us) / 1000;
        let mut lists = lines_of(items.clone()).into_iter();
        let mut events: Vec<Event> = vec![
            CaptureEnded {
                capture,
                exhibit: exhibit.clone(),
                items: lists.next().unwrap_or_default(),
                ms,
            }
            .into(),
        ];
        events.extend(lists.map(|items| {
            Event::from(ExhibitFiled {
                of: capture,
                exhibit: exhibit.clone(),
                items,
            })
        }));
        self.recorder.borrow_mut().record_all(events)?;
        Ok(Captured {
            capture,
            exhibit,
            items,
        })
    }

    /// Looks, and moves what was seen into the case.
    fn look_and_keep(
        &self,
        case: &Case,
        capture: u64,
        name: &str,
        look: impl FnOnce(&dyn Sink) -> Vec<Taken>,
    ) -> Result<Vec<CaptureItem>, EngineError> {
        let (redactor, sealing) = (self.redactor(), self.sealing()?);
        let staging = case.begin_capture(capture, name)?;
        let keeper = Keeper {
            world: self.world,
            staging: &staging,
            redactor: &redactor,
            sealing: &sealing,
        };
        let bench = Bench {
            keeper: &keeper,
            files: RefCell::default(),
        };
        let looked = look(&bench);
        let mut kept = bench.finish()?;
        let receipts: Receipts = kept
            .values_mut()
            .map(|k| (file_name(&k.stored), std::mem::take(&mut k.receipts)))
            .collect();
        let mut items: Vec<CaptureItem> = looked.into_iter().map(|taken| self.item(taken, &kept)).collect();
        let mut stored = Vec::new();
        for one in kept.into_values() {
            stored.push(one.stored);
            stored.extend(one.sealed);
            items.extend(one.original);
        }
        // What became of each thing stands beside the things themselves, for readers of the bundle.
        let list = staging.put(ITEMS_LIST, &serde_json::to_vec_pretty(&items).unwrap_or_default())?;
        items.push(kept_whole(&list, "what became of each thing", 0));
        stored.push(list);
        if let Some(list) = receipts_in(&staging, &receipts)? {
            items.push(kept_whole(&list, RECEIPTS_ARE, 0));
            stored.push(list);
        }
        staging.commit(stored)?;
        Ok(items)
    }

    fn item(&self, taken: Taken, kept: &BTreeMap<String, Kept>) -> CaptureItem {
        let (name, bytes, sha256, redactions, cut) = match kept.get(&taken.name) {
            Some(Kept {
                stored,
                taken_out,
                cut,
                ..
            }) => (
                file_name(stored),
                stored.len,
                stored.sha256.to_string(),
                *taken_out,
                *cut,
            ),
            None => (taken.name, 0, String::new(), 0, false),
        };
        let mut item = CaptureItem {
            name,
            source: self.scrubbed(&taken.source),
            status: taken.status,
            why: taken.why.map(|w| self.scrubbed(&w)),
            bytes,
            sha256,
            redactions,
        };
        if cut {
            no_room_for(&mut item);
        }
        item
    }

    /// Keeps a file of the responder, as it is but for its secrets.
    pub fn attach(&self, path: &Path) -> Result<Captured, EngineError> {
        const CAP: u64 = 1 << 30;
        let case = self.case()?;
        self.take_custody()?;
        let no = |e: io::Error| EngineError::File {
            path: path.display().to_string(),
            why: e.to_string(),
        };
        let stat = self.world.files.stat(path).map_err(no)?;
        if !stat.is_file || stat.len > CAP {
            let why = if stat.is_file {
                "it is longer than 1 GiB"
            } else {
                "it is no regular file"
            };
            return Err(EngineError::File {
                path: path.display().to_string(),
                why: why.into(),
            });
        }
        let mut source = self.world.files.open(path).map_err(no)?;
        let (redactor, sealing) = (self.redactor(), self.sealing()?);
        // The folder is numbered after the record that will name it.
        let seq = self.incident()?.records;
        let staging = case.begin_capture(seq, "attached")?;
        let file_name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name = format!(
            "file-{}",
            super::act::file_name(&file_name)
                .chars()
                .take(60)
                .collect::<String>()
        );
        let keeper = Keeper {
            world: self.world,
            staging: &staging,
            redactor: &redactor,
            sealing: &sealing,
        };
        let mut out = keeper.create(&name)?;
        io::copy(&mut source, &mut out).map_err(no)?;
        let kept = out.finish()?;
        if kept.cut {
            staging.discard()?;
            return Err(no(io::ErrorKind::StorageFull.into()));
        }
        let from = path.display().to_string();
        let mut items = vec![kept_whole(&kept.stored, &from, kept.taken_out)];
        items.extend(kept.original);
        let mut stored = vec![kept.stored];
        stored.extend(kept.sealed);
        if let Some(list) = receipts_in(&staging, &vec![(name, kept.receipts)])? {
            items.push(kept_whole(&list, RECEIPTS_ARE, 0));
            stored.push(list);
        }
        staging.commit(stored)?;
        let exhibit = format!("{seq:04}-attached");
        let event = FileAttached {
            exhibit: exhibit.clone(),
            from: path.display().to_string(),
            items: items.clone(),
        };
        let capture = self.record(event)?;
        Ok(Captured {
            capture,
            exhibit,
            items,
        })
    }

    /// Seals the baseline over every capture so far. From here on things may be changed.
    pub fn seal_baseline(&self, unknown: Vec<String>) -> Result<u64, EngineError> {
        let incident = self.incident()?;
        let captures: Vec<u64> = incident
            .captures
            .iter()
            .filter(|(_, c)| c.exhibit.is_some())
            .map(|(seq, _)| *seq)
            .collect();
        let unknown = unknown.iter().map(|u| self.scrubbed(u)).collect();
        self.record(BaselineSealed {
            captures,
            unknown,
            mono_us: self.world.clock.now().mono_us,
        })
    }

    /// Takes every look of the baseline again, for the state after recovery.
    pub fn capture_after(&self) -> Result<Vec<Captured>, EngineError> {
        let mut specs: Vec<CaptureSpec> = Vec::new();
        for step in self.runbook.stage(Stage::Assess) {
            if let Act::Capture(_) = &step.act
                && let Act::Capture(spec) = self.resolved(step)?.act
            {
                specs.push(spec);
            }
        }
        if specs.is_empty() {
            specs.push(CaptureSpec::Host);
        }
        specs
            .iter()
            .map(|spec| self.capture(spec, None, "after"))
            .collect()
    }
}

/// A file that was kept whole.
pub(super) fn kept_whole(stored: &Stored, source: &str, redactions: u32) -> CaptureItem {
    CaptureItem {
        name: file_name(stored),
        source: source.to_owned(),
        status: ItemStatus::Collected,
        why: None,
        bytes: stored.len,
        sha256: stored.sha256.to_string(),
        redactions,
    }
}

/// Cuts a list into parts that each fit into one line of the journal.
fn lines_of(items: Vec<CaptureItem>) -> Vec<Vec<CaptureItem>> {
    let mut lists = vec![Vec::new()];
    let mut used = 0;
    for item in items {
        let size = serde_json::to_string(&item).map_or(0, |text| text.len() + 1);
        if used + size > LINE_ROOM && used > 0 {
            lists.push(Vec::new());
            used = 0;
        }
        used += size;
        if let Some(list) = lists.last_mut() {
            list.push(item);
        }
    }
    lists
}

/// Where collectors put what they see: redacted and hashed on the way.
struct Bench<'s, 'c> {
    keeper: &'s Keeper<'s, 'c>,
    files: RefCell<BTreeMap<String, Slot<'s, 'c>>>,
}

/// One file being written; empty once it is finished.
type Slot<'s, 'c> = Rc<RefCell<Option<Keeping<'s, 'c>>>>;

impl Sink for Bench<'_, '_> {
    fn open<'o>(&'o self, name: &str) -> io::Result<Box<dyn Write + 'o>> {
        let kept_as = exhibit_name(name, self.files.borrow().len());
        let file = self.keeper.create(&kept_as).map_err(io::Error::other)?;
        let slot = Rc::new(RefCell::new(Some(file)));
        self.files.borrow_mut().insert(name.to_owned(), Rc::clone(&slot));
        Ok(Box::new(Pen(slot)))
    }
}

struct Pen<'s, 'c>(Slot<'s, 'c>);

impl Write for Pen<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.borrow_mut() {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bench<'_, '_> {
    /// Makes every file durable, by the name it was asked for.
    fn finish(&self) -> Result<BTreeMap<String, Kept>, EngineError> {
        let mut kept = BTreeMap::new();
        for (name, slot) in std::mem::take(&mut *self.files.borrow_mut()) {
            let Some(file) = slot.borrow_mut().take() else {
                continue;
            };
            kept.insert(name, file.finish()?);
        }
        Ok(kept)
    }
}

/// Says of a file that the disk had no room for all of it.
pub(super) fn no_room_for(item: &mut CaptureItem) {
    const WHY: &str = "no space left on the disk of the record; what is kept is the beginning";
    item.why = Some(match item.why.take() {
        Some(why) => format!("{why}; {WHY}"),
        None => WHY.to_owned(),
    });
    item.status = match (item.bytes, item.status) {
        (0, _) => ItemStatus::Failed,
        (_, ItemStatus::Collected) => ItemStatus::Truncated,
        (_, other) => other,
    };
}

/// What was taken out of each file of an exhibit.
pub(super) type Receipts = Vec<(String, Vec<Receipt>)>;

/// What the list of receipts is, in the ledger.
pub(super) const RECEIPTS_ARE: &str = "where secrets were taken out, by which rule, how long they were";

/// Keeps the receipts beside the files they speak of; `None` where nothing was taken out.
pub(super) fn receipts_in(staging: &Staging<'_>, receipts: &Receipts) -> Result<Option<Stored>, EngineError> {
    let rows = receipts.iter().flat_map(|(file, receipts)| {
        receipts.iter().map(move |receipt| {
            let mut row = serde_json::to_value(receipt).unwrap_or_default();
            row["file"] = serde_json::Value::String(file.clone());
            row
        })
    });
    let rows: Vec<serde_json::Value> = rows.collect();
    if rows.is_empty() {
        return Ok(None);
    }
    // One a line: a large capture may hold thousands.
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    Ok(Some(staging.put(RECEIPTS_LIST, text.as_bytes())?))
}

fn file_name(stored: &Stored) -> String {
    let name = stored.path.file_name();
    name.map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The name under which a case takes a file: as it is where it can be, else numbered and flat.
fn exhibit_name(name: &str, number: usize) -> String {
    const TAIL: usize = 90;
    let flat = super::act::file_name(name);
    let ours = flat == ITEMS_LIST || flat == RECEIPTS_LIST || flat.ends_with(SEALED);
    if flat == name && flat.len() <= TAIL && !flat.starts_with('.') && !ours {
        return flat;
    }
    let tail = flat.get(flat.len().saturating_sub(TAIL)..).unwrap_or("file");
    format!("{number:04}-{tail}")
}

fn short_name(spec: &CaptureSpec) -> &str {
    match spec {
        CaptureSpec::Host => "host",
        CaptureSpec::Command { .. } => "command",
        CaptureSpec::File { .. } => "file",
        CaptureSpec::Git { .. } => "git",
        CaptureSpec::Collector { name, .. } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::exhibit_name;

    #[test]
    fn every_name_becomes_one_that_a_case_takes() {
        assert_eq!(exhibit_name("stdout", 3), "stdout");
        assert_eq!(exhibit_name("a/B c.jsonl", 3), "0003-a-b-c.jsonl");
        assert_eq!(exhibit_name(".env", 0), "0000-.env");
        assert_eq!(exhibit_name("stdout.age", 2), "0002-stdout.age");
        assert_eq!(exhibit_name("é/../x", 1), "0001---..-x");
        assert_eq!(exhibit_name(&"x".repeat(300), 9).len(), 95);
    }
}
