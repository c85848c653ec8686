//! The full-screen view on a terminal, which is as it was before whatever ends it.

use std::time::{Duration, Instant};

use coordha::inspect::Update;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{MissedTickBehavior, interval};

use super::model::{Entry, Model};
use super::view::{Screen, draw};
use super::{Source, moment};
use crate::exit::{FAILED, Failure};
use crate::inspecting::{self, HEALTH_LIMIT};
use crate::signals::Ends;

/// How often the bars move.
const FRAME: Duration = Duration::from_millis(100);
/// How often etcd's members are asked how they fare.
const HEALTH: Duration = Duration::from_secs(2);
/// Events that are kept.
const EVENTS: usize = 500;

/// Gives the terminal back.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // It may be gone.
        let _ = ratatui::try_restore();
    }
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(FAILED, format!("{what}: {error}"))
}

/// Shows until `q` is pressed, or a signal comes.
pub(super) async fn show(source: Source) -> Result<(), Failure> {
    // This also restores it in a panic.
    let terminal = ratatui::try_init().map_err(|error| failed("terminal", &error));
    let restored = Restored;
    let result = match terminal {
        Ok(terminal) => follow(terminal, source).await,
        Err(failure) => Err(failure),
    };
    drop(restored);
    result
}

/// What is on the screen, and where it comes from.
struct Shown {
    title: String,
    model: Model,
    events: Vec<Entry>,
    health: Vec<String>,
    scroll: u16,
    begin: Instant,
}

impl Shown {
    fn add(&mut self, entries: Vec<Entry>) {
        self.events.extend(entries);
        let over = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..over);
    }

    fn update(&mut self, update: Update) {
        let now = moment(self.begin);
        let entries = match update {
            Update::Seen(snapshot) => self.model.see(snapshot.revision(), snapshot.roles(), now),
            Update::Lost(error) => self.model.lost(error.message(), now),
        };
        self.add(entries);
    }

    fn draw(&mut self, terminal: &mut DefaultTerminal) -> Result<(), Failure> {
        let now = moment(self.begin);
        let entries = self.model.tick(now);
        self.add(entries);
        let screen = Screen {
            title: &self.title,
            model: &self.model,
            events: &self.events,
            health: &self.health,
            now,
            scroll: self.scroll,
        };
        let mut scroll = self.scroll;
        let drawn = terminal.draw(|frame| scroll = draw(frame, &screen));
        self.scroll = scroll;
        drawn.map(drop).map_err(|error| failed("terminal", &error))
    }
}

async fn follow(mut terminal: DefaultTerminal, source: Source) -> Result<(), Failure> {
    let Source { inspector, mut updates } = source;
    let mut shown = Shown {
        title: format!("coordha watch  {}  {}", inspector.store_url(), inspector.root()),
        model: Model::default(),
        events: Vec::new(),
        health: Vec::new(),
        scroll: 0,
        begin: Instant::now(),
    };
    let mut ends = Ends::listen()?;
    let (health_in, mut health) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let health = inspector.health(HEALTH_LIMIT).await;
            if health_in.send(inspecting::health_lines(&health)).await.is_err() {
                return;
            }
            tokio::time::sleep(HEALTH).await;
        }
    });
    let mut keys = keys();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(update) = updates.recv() => shown.update(update),
            Some(lines) = health.recv() => shown.health = lines,
            Some(key) = keys.recv() => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                // In raw mode the terminal makes no signal of it.
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                KeyCode::Down | KeyCode::Char('j') => shown.scroll = shown.scroll.saturating_add(1),
                KeyCode::Up | KeyCode::Char('k') => shown.scroll = shown.scroll.saturating_sub(1),
                _ => {}
            },
            () = ends.come() => return Ok(()),
            _ = frames.tick() => shown.draw(&mut terminal)?,
        }
    }
}

/// The keys that are pressed, read by a thread that ends with the process.
fn keys() -> Receiver<KeyEvent> {
    let (pressed, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = read() {
            if let Event::Key(key) = event
                && key.kind == KeyEventKind::Press
                && pressed.blocking_send(key).is_err()
            {
                return;
            }
        }
    });
    keys
}
