//! The full-screen view: a function from what is known to a frame.

use coordha::inspect::Standing;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::model::{Entry, Model, Moment, Watched, Weight};
use super::words;

/// Below this many lines or columns there is no room for boxes.
const SMALL: (u16, u16) = (14, 40);

/// Cells of the bar that shows the hold time.
const BAR: u64 = 30;

/// What is shown.
pub(crate) struct Screen<'a> {
    /// Store and root.
    pub(crate) title: &'a str,
    pub(crate) model: &'a Model,
    /// The newest last.
    pub(crate) events: &'a [Entry],
    /// A line for each endpoint of etcd; empty: there is none.
    pub(crate) health: &'a [String],
    pub(crate) now: Moment,
    /// Lines of the roles that are scrolled away, where there are so many.
    pub(crate) scroll: u16,
}

/// Draws all; how many lines of the roles are scrolled away.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &Screen<'_>) -> u16 {
    if frame.area().height < SMALL.0 || frame.area().width < SMALL.1 {
        frame.render_widget(Paragraph::new(small_lines(screen, frame.area().height)), frame.area());
        return screen.scroll;
    }
    let roles = role_lines(screen);
    let health = u16::try_from(screen.health.len()).unwrap_or(u16::MAX);
    let health_height = if health == 0 { 0 } else { health.saturating_add(2).min(frame.area().height / 4) };
    let wanted = u16::try_from(roles.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [head, top, middle, bottom, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Max(wanted),
        Constraint::Min(5),
        Constraint::Length(health_height),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(screen), head);
    let block = Block::bordered().title(" roles ");
    let scroll = screen.scroll.min(wanted.saturating_sub(top.height));
    frame.render_widget(Paragraph::new(roles).block(block).scroll((scroll, 0)), top);
    events(frame, screen, middle);
    if health_height > 0 {
        let lines: Vec<Line<'_>> = screen.health.iter().map(|line| health_line(line)).collect();
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" etcd ")), bottom);
    }
    frame.render_widget(Line::from(" q quit   up/down scroll the roles ").dark_gray(), foot);
    scroll
}

/// What matters most comes first: a store that does not answer, roles without an active one, the others, and then what
/// happened last.
fn small_lines<'a>(screen: &Screen<'_>, height: u16) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    lines.extend(screen.model.trouble.as_ref().map(|why| line(&format!("NO ANSWER: {why}")).white().on_red()));
    let mut roles: Vec<_> = screen.model.roles.iter().collect();
    let rest = |watched: &Watched| watched.hold_left(screen.now).map_or(u64::MAX, |(left, _)| left.min(1));
    // The order of names is kept where none is worse.
    roles.sort_by_key(|(_, watched)| (watched.view.active.is_some(), rest(watched)));
    lines.extend(roles.into_iter().map(|(name, watched)| small_role(name, watched, screen.now)));
    if lines.is_empty() {
        lines.push(Line::from("no role yet"));
    }
    let room = usize::from(height).saturating_sub(lines.len());
    let first = screen.events.len().saturating_sub(room);
    lines.extend(screen.events[first..].iter().map(|entry| line(&entry.line()).style(color(entry.weight))));
    lines
}

fn standby_count(standbys: usize) -> String {
    match standbys {
        0 => "NO STANDBY".to_owned(),
        1 => "1 standby".to_owned(),
        more => format!("{more} standbys"),
    }
}

fn small_role<'a>(name: &str, watched: &Watched, now: Moment) -> Line<'a> {
    let Some(active) = &watched.view.active else {
        return line(&format!("{name} NOBODY")).red();
    };
    let who = format!("{name} {}", active.address);
    match watched.hold_left(now) {
        Some((0, _)) => line(&format!("{who} NOT RENEWED")).red(),
        _ => line(&format!("{who}  {}", standby_count(watched.view.standbys.len()))).green(),
    }
}

fn header<'a>(screen: &'a Screen<'_>) -> Line<'a> {
    let clock = words::clock(screen.now.unix_ms);
    let seconds = clock.split('.').next().unwrap_or_default().to_owned();
    match &screen.model.trouble {
        Some(why) => line(&format!(" {}  NO ANSWER: {why}", screen.title)).white().on_red(),
        None => line(&format!(" {}  revision {}  {seconds} UTC", screen.title, screen.model.revision)).bold(),
    }
}

fn events(frame: &mut Frame<'_>, screen: &Screen<'_>, area: Rect) {
    let rows = usize::from(area.height.saturating_sub(2));
    let first = screen.events.len().saturating_sub(rows);
    let entry = |entry: &Entry| line(&entry.line()).style(color(entry.weight));
    let lines: Vec<Line<'_>> = screen.events[first..].iter().map(entry).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" events ")), area);
}

/// A line of what others have written, too.
fn line<'a>(text: &str) -> Line<'a> {
    Line::from(words::escaped(text))
}

fn color(weight: Weight) -> Style {
    match weight {
        Weight::Good => Style::new().fg(Color::Green),
        Weight::News => Style::new(),
        Weight::Trouble => Style::new().fg(Color::Red),
    }
}

fn health_line(text: &str) -> Line<'_> {
    let is_bad = ["DOWN", "NO LEADER", "ALARM"].iter().any(|word| text.contains(word));
    if is_bad { line(text).red() } else { line(text) }
}

fn role_lines<'a>(screen: &Screen<'_>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (name, watched) in &screen.model.roles {
        lines.push(Line::from(name.clone()).bold());
        role(&mut lines, watched, screen.now);
    }
    if lines.is_empty() {
        lines.push(Line::from("no role below this root yet"));
    }
    lines
}

fn role(lines: &mut Vec<Line<'_>>, watched: &Watched, now: Moment) {
    let view = &watched.view;
    match &view.active {
        Some(active) => {
            let who = format!("  active   {}  server ID {}  {}", active.address, active.server_id, active.host_name);
            let text = format!("{who}  {}  token {}", active.kind.name(), active.mod_revision);
            lines.push(line(&text).green());
            lines.push(hold(watched, now));
        }
        None => lines.push(Line::from("  active   NOBODY").red()),
    }
    for standby in &view.standbys {
        let session = &standby.session;
        let rank = standby.rank.map_or("no rank".to_owned(), |rank| format!("rank {rank}"));
        let lease = session.lease_left.map_or(String::new(), |lease| {
            format!("  lease {} of {}", words::seconds(lease.left_ms), words::seconds(lease.granted_ms))
        });
        let who = format!("  standby  {}  server ID {}  {}", session.address, session.server_id, session.host_name);
        let who = line(&format!("{who}  {}  {rank}{lease}", session.kind.name()));
        let why = format!("           {}", standby.chance.why);
        match standby.chance.standing {
            Standing::Now | Standing::Ready => lines.push(who),
            Standing::Waits | Standing::Perhaps => lines.extend([who.yellow(), line(&why).yellow()]),
            Standing::Blocked => lines.extend([who.red(), line(&format!("{why} (cannot win)")).red()]),
        }
    }
    for stranger in &view.strangers {
        lines.push(line(&format!("  unknown  {}: {}", stranger.key, stranger.why)).red());
    }
}

/// The hold time as a bar, which drops and is filled again by each renewal.
fn hold<'a>(watched: &Watched, now: Moment) -> Line<'a> {
    let Some((left, hold)) = watched.hold_left(now) else {
        let lease = watched.view.active.as_ref().and_then(|active| active.lease_left);
        let lease = lease.map_or(String::new(), |lease| {
            format!("; lease {} of {} left", words::seconds(lease.left_ms), words::seconds(lease.granted_ms))
        });
        return Line::from(format!("           no term record of this term{lease}")).dark_gray();
    };
    // At most BAR, as no more can be left than there is.
    let full = usize::try_from((left * BAR).div_ceil(hold.max(1))).unwrap_or(0);
    let rest = usize::try_from(BAR).unwrap_or(0).saturating_sub(full);
    let color = match left * 4 / hold.max(1) {
        2.. => Color::Green,
        1 => Color::Yellow,
        _ => Color::Red,
    };
    let at_most = if watched.is_exact { "" } else { "at most " };
    let tenths = |ms: u64| words::seconds(ms / 100 * 100);
    let lasted = watched.view.held().map_or(0, |term| term.lasted_ms);
    Line::from(vec![
        Span::raw("  hold     "),
        Span::styled("█".repeat(full), Style::new().fg(color)),
        Span::styled("░".repeat(rest), Style::new().fg(Color::DarkGray)),
        Span::raw(format!("  {at_most}{} of {}", tenths(left), words::seconds(hold))),
        Span::styled(format!("  since about {}", words::long(lasted)), Style::new().fg(Color::DarkGray)),
    ])
}
