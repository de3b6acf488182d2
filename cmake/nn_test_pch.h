#pragma once
#include <gtest/gtest.h>

#include "nn_pch.h"
