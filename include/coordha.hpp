/// @file
/// coordha for C++17: active-standby for coordinators on etcd. Header only, over coordha.h, which is the manual: what a
/// session goes through, what is guaranteed and what is not, stands there. This is its look in C++.
///
///     #include <coordha.hpp>
///
///     coordha::Session session(
///         {{"role", "rootcoord"}, {"address", "10.0.0.5:53100"}, {"active_standby.enabled", true}});
///     session.run([&](coordha::Term &term) {
///         load([&] { return term.ending(); });
///         term.ready();                          // session.is_active() from here on
///         term.wait_ending();
///         drain([&] { return term.held(); });
///     });                                        // session.request_stop() from anywhere, also a signal handler
///
/// Compile with `c++ -std=c++17 coordinator.cpp $(pkg-config --cflags --libs coordha)`, or with CMake
/// `find_package(coordha)` and the target coordha::coordha.
///
/// **Two forms.** A function that can fail has two: `stop()` throws coordha::Error, `try_stop()` returns a
/// coordha::Result. The Result holds a value or the same Error. With -fno-exceptions there are those with `try_` alone.
///
/// **Ownership.** Config, Session, Observer, Event and Txn own what they stand for; they are moved, and free it at their end.
/// SessionRef, EventRef and Results look at what somebody else owns, and are copied freely. Views (std::string_view)
/// live as long as what they came from.
///
/// **Threads.** Everything of a session or an observer may be called from many threads at once, but for moving, closing
/// and destroying it. Other objects: one thread at a time; `const` functions of a Config and an Error from many.
///
/// **Exceptions of yours** never go through the library: one out of a callback, out of the body of a term or out of a
/// log receiver is caught, reported once, and ends the term in order.
///
/// **Times** are std::chrono::milliseconds, so that `20s` and `500ms` both fit; coordha::forever never passes.

#ifndef COORDHA_HPP
#define COORDHA_HPP

#include <coordha/config.hpp>
#include <coordha/error.hpp>
#include <coordha/event.hpp>
#include <coordha/log.hpp>
#include <coordha/metrics.hpp>
#include <coordha/observer.hpp>
#include <coordha/session.hpp>
#include <coordha/term.hpp>
#include <coordha/txn.hpp>

#endif
