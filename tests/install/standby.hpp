// The other file of the project, so that the header is taken in twice, into one program.
#pragma once

#include <coordha.hpp>

/// Starts a session that no configuration allows; gives the error.
coordha::Result<coordha::Session> start_without_an_address();
