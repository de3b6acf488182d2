#pragma once
#include <gtest/gtest.h>

#include "core_pch.h"
