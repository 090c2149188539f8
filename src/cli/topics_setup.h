/* What the rules of the topics (kafka/topics.h) need to know of the configuration. */
#pragma once
#include "cli/deployment.h"
#include "kafka/topics.h"

/* The result lives as long as its sources. */
struct topics_options topics_setup(const struct config *config,
                                   const struct deployment *deployment);
