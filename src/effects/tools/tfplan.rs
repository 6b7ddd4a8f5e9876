//! A saved plan of Terraform or OpenTofu, by content: a zip archive with the protobuf message `tfplan` in it.
//!
//! Facts: `planfile.proto` of either project (format 3). Read strictly: whatever another reader might understand in
//! another way, whatever is new, and whatever is too large, is not understood. Nothing is unpacked to disk.

use std::collections::BTreeSet;

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::tfjson;

/// Most bytes that one member may unpack to.
const MEMBER: usize = 32 << 20;
/// Most bytes that all members read together may unpack to.
const ALL: usize = 64 << 20;
/// Most members.
const MEMBERS: usize = 4_096;
/// The format of plans that is known.
const FORMAT: u64 = 3;

/// What a plan would do, by the addresses of the objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Objects that end.
    pub destroys: Vec<String>,
    /// Objects that end and are made again.
    pub replaces: Vec<String>,
    /// Objects that go on, unmanaged.
    pub forgets: Vec<String>,
    /// Objects that are made or changed.
    pub changes: Vec<String>,
    /// What else it runs, or may: nobody reads that here.
    pub runs: BTreeSet<&'static str>,
}

impl Plan {
    /// Adds what happens to one object; `None` for an action that nobody knows.
    pub(super) fn add(&mut self, address: String, action: u64) -> Option<()> {
        match action {
            0 => {}
            // Some sources of data are programs.
            2 if ["external", "shell", "script", "exec", "command"]
                .iter()
                .any(|w| address.contains(w)) =>
            {
                self.runs.insert("programs");
            }
            2 => {}
            1 | 3 => self.changes.push(address),
            5 => self.destroys.push(address),
            6 | 7 => self.replaces.push(address),
            8 => self.forgets.push(address),
            9 => {
                self.forgets.push(address.clone());
                self.changes.push(address);
            }
            _ => return None,
        }
        Some(())
    }

    /// How many objects it touches at most; `None` where it runs what nobody reads here.
    pub(super) fn touches(&self) -> Option<usize> {
        let all = [&self.destroys, &self.replaces, &self.forgets, &self.changes];
        self.runs
            .is_empty()
            .then(|| all.iter().map(|objects| objects.len()).sum())
    }
}

/// Reads a plan, saved or as it is shown in JSON; `None` where it is none, or one that is not understood whole.
pub(super) fn read(bytes: &[u8]) -> Option<Plan> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return tfjson::read(bytes);
    }
    let members = members(bytes)?;
    let mut names = BTreeSet::new();
    if !members.iter().all(|member| names.insert(member.name)) {
        return None;
    }
    let mut left = ALL;
    let mut unpack = |member: &Member<'_>| {
        let bytes = member.unpack(left)?;
        left -= bytes.len();
        Some(bytes)
    };
    let plan = members.iter().find(|member| member.name == "tfplan")?;
    let mut plan = changes(&unpack(plan)?)?;
    for member in members.iter().filter(|m| m.name.starts_with("tfconfig/")) {
        let text = String::from_utf8(unpack(member)?).ok()?;
        // In JSON a name may be written in numbers.
        if text.contains("provisioner") || member.name.ends_with(".json") && text.contains("\\u") {
            plan.runs.insert("provisioners");
        }
    }
    Some(plan)
}

/// One file of an archive.
struct Member<'z> {
    name: &'z str,
    deflated: bool,
    packed: &'z [u8],
    size: usize,
}

impl Member<'_> {
    fn unpack(&self, most: usize) -> Option<Vec<u8>> {
        if self.size > most.min(MEMBER) {
            return None;
        }
        let bytes = match self.deflated {
            true => decompress_to_vec_with_limit(self.packed, self.size).ok()?,
            false => self.packed.to_vec(),
        };
        (bytes.len() == self.size).then_some(bytes)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(two.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}

/// The members of an archive that begins with its first byte and ends with its directory: no zip64, no encryption, no
/// comment, nothing between. Sizes are the directory's; a writer of streams leaves them out of the headers.
fn members(bytes: &[u8]) -> Option<Vec<Member<'_>>> {
    let end = bytes.len().checked_sub(22)?;
    let (count, size) = (u16_at(bytes, end + 10)?, u32_at(bytes, end + 12)?);
    let start = u32_at(bytes, end + 16)?;
    let whole = bytes.get(end..end + 4)? == b"PK\x05\x06"
        && u32_at(bytes, end + 4)? == 0
        && u16_at(bytes, end + 8)? == count
        && u16_at(bytes, end + 20)? == 0
        && start.checked_add(size)? == end
        && count <= MEMBERS;
    if !whole {
        return None;
    }
    let mut at = start;
    let mut members = Vec::new();
    for _ in 0..count {
        let (flags, method) = (u16_at(bytes, at + 8)?, u16_at(bytes, at + 10)?);
        let (packed, size) = (u32_at(bytes, at + 20)?, u32_at(bytes, at + 24)?);
        let (long, extra, comment) = (
            u16_at(bytes, at + 28)?,
            u16_at(bytes, at + 30)?,
            u16_at(bytes, at + 32)?,
        );
        let local = u32_at(bytes, at + 42)?;
        let name = bytes.get(at + 46..at + 46 + long)?;
        // The header in front of the bytes must say the same name, and the bytes must stand before the directory.
        let local_long = u16_at(bytes, local.checked_add(26)?)?;
        let data = local + 30 + local_long + u16_at(bytes, local + 28)?;
        let sound = bytes.get(at..at + 4)? == b"PK\x01\x02"
            && bytes.get(local..local + 4)? == b"PK\x03\x04"
            && bytes.get(local + 30..local + 30 + local_long)? == name
            && flags & 0x2041 == 0
            && matches!(method, 0 | 8)
            && u16_at(bytes, local + 8)? == method
            && packed < 0xffff_ffff
            && size < 0xffff_ffff
            && data.checked_add(packed)? <= start
            && (method == 8 || packed == size);
        if !sound {
            return None;
        }
        members.push(Member {
            name: std::str::from_utf8(name).ok()?,
            deflated: method == 8,
            packed: bytes.get(data..data + packed)?,
            size,
        });
        at += 46 + long + extra + comment;
    }
    (at == end).then_some(members)
}

/// One field of a message.
enum Field<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    /// Four or eight bytes, of no use here.
    Fixed,
}

/// The next field of a message, and its number; outer `None` where it is broken.
fn field<'m>(rest: &mut &'m [u8]) -> Option<(u64, Field<'m>)> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Field::Number(varint(rest)?),
        1 => {
            take(rest, 8)?;
            Field::Fixed
        }
        2 => {
            let long = usize::try_from(varint(rest)?).ok()?;
            Field::Bytes(take(rest, long)?)
        }
        5 => {
            take(rest, 4)?;
            Field::Fixed
        }
        _ => return None,
    };
    let number = key >> 3;
    (number > 0).then_some((number, value))
}

fn take<'m>(rest: &mut &'m [u8], long: usize) -> Option<&'m [u8]> {
    let (taken, after) = rest.split_at_checked(long)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The message `Plan`.
fn changes(mut message: &[u8]) -> Option<Plan> {
    let mut plan = Plan::default();
    let mut format = None;
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Field::Number(version)) if format.is_none() => format = Some(version),
            (1, _) => return None,
            (3, Field::Bytes(change)) => resource(change, &mut plan)?,
            (3, _) => return None,
            // Actions of providers, invoked beside the changes; deferred ones are not carried out by this plan.
            (30, _) => {
                plan.runs.insert("actions");
            }
            _ => {}
        }
    }
    (format == Some(FORMAT)).then_some(plan)
}

/// The message `ResourceInstanceChange`. What should stand there once and stands there twice is merged by some readers.
fn resource(mut message: &[u8], plan: &mut Plan) -> Option<()> {
    let (mut address, mut action) = (None, None);
    while !message.is_empty() {
        match field(&mut message)? {
            (13, Field::Bytes(text)) if address.is_none() => address = Some(std::str::from_utf8(text).ok()?),
            (9, Field::Bytes(change)) if action.is_none() => action = Some(action_of(change)?),
            (9 | 13, _) => return None,
            _ => {}
        }
    }
    let address = address.filter(|address| !address.is_empty())?.to_owned();
    plan.add(address, action?)
}

/// The action of a message `Change`; nothing is the first one.
fn action_of(mut message: &[u8]) -> Option<u64> {
    let mut action = None;
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Field::Number(number)) if action.is_none() => action = Some(number),
            (1, _) => return None,
            _ => {}
        }
    }
    Some(action.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value > 0x7f {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    fn bytes(field: u64, inner: &[u8]) -> Vec<u8> {
        [number(field << 3 | 2), number(inner.len() as u64), inner.to_vec()].concat()
    }

    fn change(address: &str, action: u64) -> Vec<u8> {
        let change = [number(1 << 3), number(action), bytes(2, b"\x0a\x01\xc0")].concat();
        bytes(3, &[bytes(9, &change), bytes(13, address.as_bytes())].concat())
    }

    fn message(parts: &[Vec<u8>]) -> Vec<u8> {
        [vec![8, 3], parts.concat()].concat()
    }

    #[test]
    fn actions_are_counted_by_name() {
        let plan = changes(&message(&[
            change("a.new", 1),
            change("a.same", 0),
            change("a.changed", 3),
            change("a.gone", 5),
            change("a.again", 6),
            change("a.before", 7),
            change("a.left", 8),
            change("data.http.x", 2),
        ]))
        .unwrap();
        assert_eq!(plan.changes, ["a.new", "a.changed"]);
        assert_eq!(plan.destroys, ["a.gone"]);
        assert_eq!(plan.replaces, ["a.again", "a.before"]);
        assert_eq!(plan.forgets, ["a.left"]);
        assert!(plan.runs.is_empty());
        let runs = changes(&message(&[change("module.x.data.external.y", 2), bytes(30, b"")])).unwrap();
        assert_eq!(runs.runs, BTreeSet::from(["actions", "programs"]));
    }

    #[test]
    fn no_more_is_unpacked_than_was_said() {
        let packed = miniz_oxide::deflate::compress_to_vec(&vec![0; 1 << 20], 9);
        let member = |size| Member {
            name: "tfplan",
            deflated: true,
            packed: &packed,
            size,
        };
        assert!(member(1 << 20).unpack(ALL).is_some());
        for size in [0, 1000, (1 << 20) - 1, (1 << 20) + 1, MEMBER + 1] {
            assert!(member(size).unpack(ALL).is_none(), "{size}");
        }
        assert!(member(1 << 20).unpack(1000).is_none());
    }

    #[test]
    fn what_another_reader_might_read_otherwise_is_not_understood() {
        let good = message(&[change("a.b", 1)]);
        assert!(changes(&good).is_some());
        for broken in [
            // Another format, none, two.
            [vec![8, 4], change("a.b", 1)].concat(),
            change("a.b", 1),
            [good.clone(), vec![8, 3]].concat(),
            // An action that nobody knows, none at all, two of them, two changes, no address.
            message(&[change("a.b", 4)]),
            message(&[bytes(3, &bytes(13, b"a.b"))]),
            message(&[bytes(3, &[bytes(9, &[8, 1, 8, 5]), bytes(13, b"a.b")].concat())]),
            message(&[bytes(
                3,
                &[bytes(9, &[8, 1]), bytes(9, &[8, 5]), bytes(13, b"a.b")].concat(),
            )]),
            message(&[bytes(3, &bytes(9, &[8, 1]))]),
            // A group, a field without a number, a length past the end, a number that never ends.
            [good.clone(), vec![11]].concat(),
            [good.clone(), vec![2, 0]].concat(),
            [good.clone(), vec![26, 200]].concat(),
            [good.clone(), vec![0xff; 11]].concat(),
            good[..good.len() - 1].to_vec(),
        ] {
            assert_eq!(changes(&broken), None, "{broken:?}");
        }
    }
}
