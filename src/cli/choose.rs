//! One of several at a terminal: arrows mark it, Enter takes it.

use std::io;

use console::{Key, Term};

use super::ui::{Ui, wrap};

/// Asks until one is taken.
///
/// Enter takes what is marked only where nothing else was typed: a `no`, or a command meant for the shell, must not
/// run the step that happens to be marked.
pub fn one_of(question: &str, choices: &[String]) -> io::Result<usize> {
    let term = Term::stderr();
    let width = Ui::new(false).width;
    let asked = wrap(question, width);
    for line in &asked {
        term.write_line(line)?;
    }
    term.hide_cursor()?;
    let (mut marked, mut stray, mut told) = (0, false, false);
    loop {
        let rows = shown(choices, marked, usize::from(term.size().0));
        for n in rows.clone() {
            let head = if n == marked { ">" } else { " " };
            let text = choices.get(n).map_or("", String::as_str);
            term.write_line(&console::truncate_str(&format!("{head} {text}"), width, "…"))?;
        }
        told |= stray;
        let hint = told.then_some("  Arrows mark, Enter takes; what was typed took nothing.");
        hint.map_or(Ok(()), |hint| term.write_line(hint))?;
        let key = term.read_key()?;
        let drawn = rows.len() + usize::from(told);
        let was_stray = std::mem::replace(&mut stray, false);
        match key {
            Key::ArrowDown | Key::Tab => marked = (marked + 1) % choices.len().max(1),
            Key::ArrowUp | Key::BackTab => {
                marked = marked.checked_sub(1).unwrap_or(choices.len().saturating_sub(1))
            }
            Key::Enter if !was_stray => {
                term.clear_last_lines(drawn + asked.len())?;
                let text = choices.get(marked).map_or("", String::as_str);
                for line in wrap(&format!("{question} {text}"), width) {
                    term.write_line(&line)?;
                }
                term.show_cursor()?;
                return Ok(marked);
            }
            // The Enter behind what was typed.
            Key::Enter => {}
            Key::Char(_) => stray = true,
            _ => stray = was_stray,
        }
        term.clear_last_lines(drawn)?;
    }
}

/// The choices that fit into so many rows of the terminal, the marked one among them.
fn shown(choices: &[String], marked: usize, rows: usize) -> std::ops::Range<usize> {
    let room = rows.saturating_sub(4).max(1);
    let from = (marked + 1).saturating_sub(room);
    from..choices.len().min(from + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_choice_is_always_among_those_shown() {
        let choices = vec![String::new(); 30];
        assert_eq!(shown(&choices, 0, 24), 0..20);
        assert_eq!(shown(&choices, 29, 24), 10..30);
        assert_eq!(shown(&choices, 20, 24), 1..21);
        assert_eq!(shown(&choices[..3], 2, 24), 0..3);
        assert_eq!(shown(&choices, 7, 1), 7..8);
    }
}
