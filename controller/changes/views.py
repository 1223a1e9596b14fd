from controller.northbound.views import *  # noqa
