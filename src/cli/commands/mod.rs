//! One file a command: its arguments, its help, its run. Small ones that only add words share one.

mod access;
mod acts;
mod anchor;
mod boundary;
mod bundle;
mod capture;
mod compare;
mod countersign;
mod cut;
mod delegate;
mod drill;
mod escalate;
mod evidence;
mod init;
mod list;
mod lone;
mod mirror;
mod plan;
mod providers;
mod repair;
mod restore;
mod runbook;
mod shell;
mod sign;
mod start;
mod status;
mod store;
mod tell;
mod verify;
mod watch;
mod words;

use std::path::Path;

use clap::Subcommand;

use super::ui::Tone;
use super::{App, CliError, Exit};

/// Every command.
#[derive(Subcommand)]
pub enum Command {
    /// Open an incident: shows what will be cut, one Enter, stop at once, then the walk
    Start(start::StartArgs),
    /// The panic button: cut everything listed and found, no question asked
    Stop(start::StopArgs),
    /// This token, now: pasted hidden or piped in, revoked with itself, tried, forgotten
    Cut(cut::CutArgs),
    /// Go on after Ctrl-C, a crash or a change of shift
    Resume,
    /// Where it is, what is proved, what is still dangerous, what comes next
    Status(status::StatusArgs),
    /// Look again and again; say only what changed (a process respawned, a token revived)
    Watch(watch::WatchArgs),
    /// Every incident there is a record of
    List,
    /// Everything that happened, a row each
    Timeline,
    /// What changed between the baseline and the state after the repair
    Compare(compare::CompareArgs),
    /// Ten lines for the chat
    Brief,
    /// What the next shift must know, and whose hands the record is in
    Handoff(tell::HandoffArgs),
    /// Everything before it runs: each step, exactly what and where, and the rule that says so
    Plan(plan::PlanArgs),
    /// Run a step of the runbook
    Run(acts::RunArgs),
    /// Record that a step done by hand is done
    Done(acts::DoneArgs),
    /// Record that a step will not be done
    Skip(acts::SkipArgs),
    /// Take a step back
    Undo(acts::UndoArgs),
    /// Run an act the runbook did not foresee, judged like any other
    Do(acts::DoArgs),
    /// Say of an act in doubt whether it happened
    Settle(acts::SettleArgs),
    /// Ask another person to sign: writes exactly what they sign
    Escalate(escalate::EscalateArgs),
    /// Read a request on your own machine and approve it; needs no incident
    Sign(sign::SignArgs),
    /// Read a request on your own machine and refuse it; needs no incident
    Refuse(sign::SignArgs),
    /// Bring a request to a person: prints what they paste, and runs their notify command
    Page(escalate::PageArgs),
    /// Lend a role of yours to another signer until a time, on your own machine; needs no incident
    Delegate(delegate::DelegateArgs),
    /// Ask to act alone at the boundary, where the runbook allows it and nobody answers
    Lone(lone::LoneArgs),
    /// Write a signer into an empty roster, to refuse and to countersign
    Enrol(lone::EnrolArgs),
    /// File or withdraw signed answers
    Signoff(escalate::SignoffArgs),
    /// Take a look and keep it: a step of the runbook, or host, file, git, command
    Capture(capture::CaptureArgs),
    /// Answer a question of the runbook, or for a target that cannot be proved dead
    Answer(words::AnswerArgs),
    /// Seal the baseline: from here on things may be changed
    Seal(words::SealArgs),
    /// Move the walk to the next stage
    Enter(words::EnterArgs),
    /// Add words to the record
    Note(words::NoteArgs),
    /// Record something done outside the tool; never refused
    Did(words::DidArgs),
    /// A way to undo damage that is closing (undelete, recovery to a point in time, rotation), and what holds it
    Window(words::WindowArgs),
    /// Keep a file as evidence
    Attach(words::AttachArgs),
    /// Ask every service probe and capture the after-state
    Prove,
    /// Practise on a simulated platform: nothing real is touched, and the score is read from the record
    Drill(drill::DrillArgs),
    /// End the incident; what is unproved is named and answered for
    Close(words::CloseArgs),
    /// The postmortem
    Report(tell::ReportArgs),
    /// Record and evidence in one file that proves itself with plain tools
    Bundle(bundle::BundleArgs),
    /// Prove a bundle or a case: unchanged? vouched for? complete?
    Verify(verify::VerifyArgs),
    /// Put your signature beside a bundle that somebody sealed
    Countersign(countersign::CountersignArgs),
    /// A part of a bundle that proves it belongs to the whole
    Disclose(countersign::DiscloseArgs),
    /// The head of the record, and what holds it elsewhere: chat, ticket, time stamp
    Anchor(anchor::AnchorArgs),
    /// Read a bundle or a case: list what is in it, show, extract or search a file, unpacking nothing
    Evidence(evidence::EvidenceArgs),
    /// Copy every record to one place off this host while the incident runs
    Mirror(mirror::MirrorArgs),
    /// Move every incident to another folder or disk
    Store(store::StoreArgs),
    /// Go on after a damaged record, in a new journal that names the damaged one
    Repair,
    /// What agents can reach, and whether each cut would work
    Access(access::AccessArgs),
    /// Write the plan in advance: runbook, access and signers to fill in
    Init(init::InitArgs),
    /// The plan written in advance: list, show, lint
    Runbook(runbook::RunbookArgs),
    /// On which side of the repair boundary an act lands, and why
    Boundary(boundary::BoundaryArgs),
    /// Write a completion script for a shell
    Completions(shell::CompletionsArgs),
    /// Write a manual page
    Man(shell::ManArgs),
}

impl Command {
    pub(super) fn run(self, app: &App) -> Result<Exit, CliError> {
        match self {
            Command::Start(args) => start::start(app, &args),
            Command::Stop(args) => start::stop(app, &args),
            Command::Cut(args) => cut::run(app, &args),
            Command::Resume => start::resume(app),
            Command::Plan(args) => plan::run(app, &args),
            Command::Run(args) => acts::run(app, &args),
            Command::Done(args) => acts::done(app, &args),
            Command::Skip(args) => acts::skip(app, &args),
            Command::Undo(args) => acts::undo(app, &args),
            Command::Do(args) => acts::ad_hoc(app, &args),
            Command::Settle(args) => acts::settle(app, &args),
            Command::Escalate(args) => escalate::run(app, &args),
            Command::Sign(args) => sign::sign(app, &args),
            Command::Refuse(args) => sign::refuse(app, &args),
            Command::Page(args) => escalate::page(app, &args),
            Command::Delegate(args) => delegate::run(app, &args),
            Command::Lone(args) => lone::run(app, &args),
            Command::Enrol(args) => lone::enrol(app, &args),
            Command::Signoff(args) => escalate::signoff(app, &args),
            Command::Capture(args) => capture::run(app, &args),
            Command::Answer(args) => words::answer(app, &args),
            Command::Seal(args) => words::seal(app, &args),
            Command::Enter(args) => words::enter(app, &args),
            Command::Note(args) => words::note(app, &args),
            Command::Window(args) => words::window(app, &args),
            Command::Did(args) => words::did(app, &args),
            Command::Attach(args) => words::attach(app, &args),
            Command::Prove => words::prove(app),
            Command::Drill(args) => drill::run(app, &args),
            Command::Close(args) => words::close(app, &args),
            Command::Status(args) => status::run(app, &args),
            Command::Watch(args) => watch::run(app, &args),
            Command::List => list::run(app),
            Command::Timeline => tell::timeline(app),
            Command::Compare(args) => compare::run(app, &args),
            Command::Brief => tell::brief(app),
            Command::Handoff(args) => tell::handoff(app, &args),
            Command::Report(args) => tell::report(app, &args),
            Command::Bundle(args) => bundle::run(app, &args),
            Command::Verify(args) => verify::run(app, &args),
            Command::Countersign(args) => countersign::countersign(app, &args),
            Command::Disclose(args) => countersign::disclose(app, &args),
            Command::Anchor(args) => anchor::run(app, &args),
            Command::Evidence(args) => evidence::run(app, &args),
            Command::Mirror(args) => mirror::run(app, &args),
            Command::Store(args) => store::run(app, &args),
            Command::Repair => repair::run(app),
            Command::Access(args) => access::run(app, &args),
            Command::Init(args) => init::run(app, &args),
            Command::Runbook(args) => runbook::run(app, &args),
            Command::Boundary(args) => boundary::run(app, &args),
            Command::Completions(args) => shell::completions(app, &args),
            Command::Man(args) => shell::man(app, &args),
        }
    }
}

/// Refuses a path where something is, or whose folder is not there: found out before anything is done.
fn new_file(app: &App, path: &Path) -> Result<(), CliError> {
    if app.world.files.stat(path).is_ok() {
        let error = CliError::new(
            Exit::Usage,
            format!(
                "{} is there already, and nothing is ever replaced",
                path.display()
            ),
        );
        return Err(error.hint("Name another file"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !app.world.files.stat(folder).is_ok_and(|s| s.is_dir) {
        return Err(
            CliError::new(Exit::Usage, format!("there is no folder {}", folder.display()))
                .stands("nothing was written")
                .hint("Make it, or name a file in one that is there"),
        );
    }
    Ok(())
}

/// `incident` alone: where you are, or how to start.
pub(super) fn bare(app: &App) -> Result<Exit, CliError> {
    let open = app.open_incidents()?;
    if open.is_empty() {
        app.ui.line("No incident is open.");
        for (command, what) in [
            (
                "start",
                "an agent has broken something: stop it, then be walked through the rest",
            ),
            ("stop", "only stop it, no question asked"),
            ("cut", "a token in your hand: paste it, it is revoked"),
            ("drill", "practise, on a simulated platform"),
            ("init", "write the plan in advance"),
        ] {
            app.ui
                .hanging(Tone::Plain, &format!("  incident {command:<8} "), what);
        }
        return Ok(Exit::Done);
    }
    for case in &open {
        let engine = app.desk().resume(&case.id)?;
        let incident = engine.incident()?;
        app.ui
            .line(&crate::cli::view::truth::line(&incident, app.world.clock.now()));
        crate::cli::view::truth::lag(&app.ui, &engine)?;
        if open.len() > 1 {
            app.ui
                .line(&format!("  next: incident resume --incident {}", case.id));
        }
    }
    if open.len() == 1 {
        app.ui.line("  next: incident resume");
    }
    Ok(Exit::Waiting)
}
